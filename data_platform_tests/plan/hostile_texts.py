# ruff: noqa: E501, RUF001 -- cases stand in tables; letters that look like others are what it is about
"""Texts that try to get out of an expression or a query, by what they try.

Each family has a pattern of what the message must say of one of its cases: `EXPRESSIONS` hold
for every place that takes an expression, `QUERIES` for every place that takes a SELECT. Cases are
parted by ` ¦ `; `\\u` and `\\n` stand for what Python's do. Columns are `n k` (bigint), `d` (double),
`s` (varchar), `b` (boolean), `ts` (timestamp), `l` (bigint[]), `j` (varchar).
"""

EXPRESSIONS = {
    "files": """
read_text('/etc/passwd') ¦ read_csv('/etc/passwd') ¦ read_csv_auto('x') ¦ read_parquet('x') ¦ parquet_scan('x') ¦ read_json('x') ¦ read_json_auto('x')
read_ndjson('x') ¦ read_blob('x') ¦ glob('/**') ¦ sniff_csv('x') ¦ parquet_metadata('x') ¦ parquet_schema('x') ¦ parquet_file_metadata('x') ¦ parquet_kv_metadata('x')
read_xlsx('x') ¦ st_read('x') ¦ delta_scan('x') ¦ iceberg_scan('x') ¦ sqlite_scan('x', 't') ¦ sqlite_attach('x') ¦ pg_read_file('/etc/passwd') ¦ pg_ls_dir('/')
write_log('x') ¦ lo_import('/etc/passwd') ¦ add_parquet_key('k', 'v') ¦ "read_text"('x') ¦ READ_TEXT('x') ¦ Read_Text ('x') ¦ read_text/**/('x') ¦ main.read_text('x')
system.main.read_text('x') ¦ "main"."read_text"('x') ¦ 'x'.read_text() ¦ s.read_text() ¦ ('x').read_text().length() ¦ 'x'.upper().read_text()
""",
    "network": """
http_get('http://127.0.0.1') ¦ http_post('http://127.0.0.1', 'x') ¦ read_csv('http://127.0.0.1/x.csv') ¦ read_parquet('s3://bucket/x') ¦ postgres_scan('host=127.0.0.1', 'public', 't')
postgres_query('c', 'select 1') ¦ mysql_scan('x', 'y', 'z') ¦ mysql_query('c', 'select 1') ¦ dblink('x', 'y') ¦ postgres_attach('x') ¦ load_aws_credentials() ¦ inet_server_addr()
""",
    "environment": """
getenv('HOME') ¦ GetEnv('HOME') ¦ "getenv"('HOME') ¦ getenv ('HOME') ¦ current_setting('temp_directory') ¦ set_config('a', 'b', true) ¦ getvariable('_key')
getvariable('masking_key') ¦ 'masking_key'.getvariable() ¦ s.getvariable() ¦ version() ¦ pg_backend_pid() ¦ current_database() ¦ current_schema() ¦ current_schemas(true)
current_user ¦ session_user ¦ current_catalog ¦ current_schema ¦ current_role ¦ current_query() ¦ duckdb_settings() ¦ duckdb_secrets() ¦ duckdb_variables() ¦ pragma_version() ¦ which_secret('s3://x', 's3')
pg_typeof(n) ¦ txid_current() ¦ in_search_path('a', 'b') ¦ has_table_privilege('t', 'x') ¦ inet_client_addr() ¦ pg_get_viewdef(n)
@os.getpid() ¦ __import__('os') ¦ __import__('os').system('id') ¦ os.environ['HOME'] ¦ os.getenv('HOME') ¦ eval('1') ¦ exec('1') ¦ open('/etc/passwd') ¦ system('id') ¦ shell('id')
{{ env.HOME }} ¦ {{ n.__class__ }} ¦ {% if b %} ¦ {n.__class__} ¦ f'{n}' ¦ #{n} ¦ `id` ¦ $(id) ¦ ${HOME:-x} ¦ %HOME% ¦ <%= n %> ¦ $HOME ¦ ?
:nobody ¦ $nobody ¦ :partition_key ¦ :partition_start ¦ :watermark ¦ $1 ¦ n + :_key ¦ :masking_key ¦ coalesce(n, :nobody)
""",
    "others": """
_file ¦ _row ¦ _partition ¦ "_file" ¦ _FILE ¦ _converts_n ¦ _breaks_0 ¦ _content ¦ coalesce(s, _file) ¦ source._file ¦ source.nothing
_candidate.n ¦ _others.n ¦ "_others".n ¦ candidate.n ¦ raw.orders.n ¦ staging.others.n ¦ "staging/shop/others".n ¦ memory.main.t.n ¦ main.t.n ¦ db.schema.t.n
information_schema.tables.table_name ¦ duckdb_tables.table_name ¦ sqlite_master.sql ¦ pg_catalog.pg_class.relname ¦ duckdb_settings.value ¦ nothing ¦ n.nothing ¦ rowid ¦ filename ¦ file_row_number
query('select 1') ¦ query_table('t') ¦ json_execute_serialized_sql('x') ¦ json_serialize_sql('select 1') ¦ json_serialize_plan('select 1') ¦ nextval('s') ¦ currval('s') ¦ seq_scan('t') ¦ duckdb_tables() ¦ table_info('t')
columns(*) ¦ columns('n') ¦ columns(lambda c: true) ¦ sum(columns(*)) ¦ *columns(*) ¦ * ¦ t.* ¦ * exclude (n) ¦ * replace (1 as n) ¦ #1 ¦ #2 + 1 ¦ n.* ¦ s collate "x; drop" ¦ sum(n) over w
""",
    "subqueries": """
(select 1) ¦ n + (select max(n) from t) ¦ (from t) ¦ (table t) ¦ exists (select 1) ¦ exists (from t) ¦ not exists (select 1) ¦ n in (select n from t) ¦ n not in (from t) ¦ n = any (select 1) ¦ n > all (select 1)
array(select 1) ¦ (values (1)) ¦ (with x as (select 1) select * from x) ¦ (with recursive x as (select 1 union all select 1 from x) from x) ¦ [x for x in (select 1)] ¦ [e for e in l if e in (select 1)]
list_transform(l, lambda e: (select e)) ¦ coalesce(n, (select 1)) ¦ case when exists (select 1) then 1 end ¦ cast((select 1) as bigint) ¦ (((select 1))) ¦ n between (select 1) and 2 ¦ s like (select 'a') ¦ {'a': (select 1)}
row_number() over (order by (select 1)) ¦ sum(n) filter (where (select true)) ¦ string_agg(s, ',' order by (select 1)) ¦ unnest(l) ¦ n in unnest(l) ¦ explode(l) ¦ (pivot t on n) ¦ (describe t) ¦ (summarize t) ¦ (show tables) ¦ select n ¦ from t select n
""",
    "statements": """
n; select 1 ¦ n; drop table t ¦ n;; select 1 ¦ select 1; n ¦ drop table t ¦ insert into t values (1) ¦ update t set n = 1 ¦ delete from t ¦ truncate t ¦ copy t to 'x' ¦ copy (select 1) to 'x' ¦ attach 'x' ¦ detach x ¦ use x
install httpfs ¦ load httpfs ¦ pragma version ¦ set threads = 1 ¦ set variable masking_key = 1 ¦ reset threads ¦ call pragma_version() ¦ export database 'x' ¦ import database 'x' ¦ create table x as select 1 ¦ create macro f(a) as a
create secret s (type s3) ¦ create function f(a) as a ¦ alter table t drop n ¦ begin ¦ commit ¦ checkpoint ¦ vacuum ¦ explain select 1 ¦ prepare x as select 1 ¦ execute x ¦ grant select on t to x ¦ comment on table t is 'x'
n as m ¦ n m ¦ n, k ¦ n from t ¦ n where b ¦ n order by n ¦ n limit 1 ¦ n union select 1 ¦ n into x ¦ n for update ¦ n) from t -- ¦ n) union select (1 ¦ n returning * ¦ n := 1 ¦ n => 1
""",
    "comments": """
-- n ¦ /* n */ ¦ n /* unterminated ¦ /* */ ¦ n /*/ ¦ -- n \\n -- k ¦ n --\\n; drop table t ¦ /* */ n; /* */ drop table t ¦ n /* ; */ ; select 1 ¦ getenv/* */('HOME') ¦ getenv--\\n('HOME') ¦ /*!getenv('HOME')*/ getenv('x')
n /* \\u202e */ + 1 ¦ n -- \\u2066 evil \\u2069
""",
    "letters": """
ｒead_text('x') ¦ ｇｅｔｅｎｖ('HOME') ¦ rеad_text('x') ¦ gеtenv('HOME') ¦ get\\u200benv('HOME') ¦ getenv\\u200b('HOME') ¦ n\\u200b ¦ \\ufeffn ¦ n\\u00a0+ 1 ¦ n\\u2003+ 1 ¦ n\\u3000+ 1 ¦ n\\u2028+ 1 ¦ n \\u202e+ 1 ¦ \\u2066n\\u2069 ¦ '\\u202egnp.exe'
'a\\u0000b' ¦ n\\u00ad ¦ n\\u0007 ¦ ｎ ¦ ① ¦ ２ ¦ n ＋ 1 ¦ ﹔ ¦ ＇x＇ ¦ n⁄k ¦ n−k ¦ n × k ¦ ‘x’ ¦ “n” ¦ «n» ¦ n‐k
E'\\\\x41' ¦ e'\\\\x41' ¦ $$x$$ ¦ $tag$x$tag$ ¦ $$'; drop table t$$ ¦ U&'\\\\0041' ¦ N'x' ¦ x'41' ¦ b'01' ¦ r'x' ¦ _utf8'x' ¦ 'x ¦ "n ¦ 'x'' ¦ "" ¦ 'it\\\\'s' ¦ [n ¦ (n ¦ n) ¦ {n
""",
    "types": """
cast('t' as regclass) ¦ 't'::regclass ¦ try_cast(s as regclass) ¦ 'x'::regtype ¦ 'x'::regproc ¦ s::oid ¦ n::main.x ¦ n::"evil type" ¦ cast(n as mytype) ¦ try_cast(n as mytype) ¦ n::"bigint); drop table t" ¦ cast(n as) ¦ n::bigint::nothing
extract('x; drop' from ts) ¦ date_part('nothing', ts) ¦ date_trunc('nothing', ts) ¦ s::struct(a nothing)
""",
    "functions": """
nosuchfunction(n) ¦ sum(read_text('x')) ¦ coalesce(n, getenv('x')) ¦ case when b then getenv('x') end ¦ if(b, getenv('x'), s) ¦ list_transform(l, lambda e: getenv('x')) ¦ list_transform(l, e -> getenv('x')) ¦ list_filter(l, lambda e: getenv('x') = '') ¦ [getenv('x') for e in l]
list_reduce(l, lambda a, e: getvariable('x')) ¦ {'a': getenv('x')} ¦ map {'a': getenv('x')} ¦ struct_pack(a := getenv('x')) ¦ row(getenv('x')) ¦ [getenv('x')] ¦ l[getenv('x')::int] ¦ l[1:getenv('x')::int] ¦ s like getenv('x') ¦ s similar to getenv('x')
sum(n) filter (where getenv('x') = '') ¦ row_number() over (order by getenv('x')) ¦ row_number() over (partition by getenv('x')) ¦ string_agg(s, ',' order by getenv('x')) ¦ sum(n) over (order by n rows getenv('x')::int preceding) ¦ n at time zone getenv('x') ¦ ts at time zone getenv('TZ')
trim(both getenv('x') from s) ¦ position(getenv('x') in s) ¦ substring(s from getenv('x')::int) ¦ extract(year from getenv('x')::date) ¦ n between getenv('a') and getenv('b') ¦ n in (1, getenv('x')::int) ¦ try(getenv('x')) ¦ cast(getenv('x') as bigint) ¦ getenv('x') is null ¦ not getenv('x') = ''
list_aggregate(l, 'sum') ¦ list_aggr(l, s) ¦ array_apply(l, getenv) ¦ list_apply(l, getenv) ¦ apply(l, getenv) ¦ list_transform(l, getenv) ¦ 'getenv'('x') ¦ error('x') ¦ sleep_ms(1000) ¦ pg_sleep(10) ¦ pg_terminate_backend(1)
random() ¦ uuid() ¦ uuidv7() ¦ gen_random_uuid() ¦ setseed(1) ¦ alias(n) ¦ stats(n) ¦ constant_or_null(n, 1) ¦ create_sort_key(n, 'ASC') ¦ json_transform(j, '{}') ¦ from_json(j, '{}') ¦ parse_path('x') ¦ s.getenv() ¦ n.version() ¦ l.list_aggregate('sum')
""",
    "sizes": """
repeat('x', 1000000000) ¦ repeat(s, 1000000000) ¦ repeat('x', 1000 * 1000 * 1000) ¦ repeat('x', 10 ** 9) ¦ repeat('x', 1e9::bigint) ¦ repeat('x', greatest(1, 1000000000)) ¦ repeat(repeat('x', 30000), 30000) ¦ repeat(repeat(repeat('x', 1000), 1000), 1000) ¦ repeat('x', length(repeat('x', 100000)))
lpad(s, 1000000000) ¦ rpad(s, 1000000000, 'x') ¦ lpad(repeat('x', 1000), 1000000) ¦ range(1000000000000) ¦ range(0, 1000000000000) ¦ generate_series(1, 1000000000000) ¦ range(0, 1000000000000, 2) ¦ range(9223372036854775807) ¦ range(timestamp '2000-01-01', timestamp '2030-01-01', interval 1 second)
list_transform(range(1000000), lambda e: range(1000000)) ¦ list_transform(range(1000000), lambda e: range(e)) ¦ [[1 for a in range(100000)] for e in range(100000)] ¦ list_sum(range(100000)) * list_sum(range(100000)) ¦ range(len(range(1000000)))
format('{:1000000000}', s) ¦ format('{:>9999999}', s) ¦ format('{:{}}', s, 1000000000) ¦ format(s, n) ¦ printf('%1000000000d', n) ¦ printf('%-99999s', s) ¦ printf('%*d', 1000000000, n) ¦ printf(s, n)
""",
}  # fmt: skip

QUERIES = {
    "files": """
select * from 'file.csv' ¦ from 'file.parquet' ¦ from "file.csv" ¦ from '/etc/passwd' ¦ from 'https://127.0.0.1/x.csv' ¦ from 's3://bucket/x.parquet' ¦ from "x.json" ¦ from '*.parquet' ¦ from 'sqlite:x.db' ¦ select * from raw.orders, 'file.csv'
select * from read_csv('x') ¦ from read_text('/etc/passwd') ¦ from read_blob('x') ¦ from glob('*') ¦ from sniff_csv('x') ¦ from parquet_metadata('x') ¦ from parquet_scan('x') ¦ from sqlite_scan('a', 'b') ¦ from postgres_scan('a', 'b', 'c') ¦ from read_json_auto('x')
from raw.orders o, lateral read_text(o.s) ¦ from raw.orders o join read_text('x') on true ¦ select * from raw.orders semi join read_text('x') using (n) ¦ with x as (from read_text('x')) from x ¦ with "to\\u212aen.csv" as (select 1) from "token.csv" ¦ with "\\u212a.csv" as (select 1) select * from "k.csv"
with x as (from 'a.csv') from x ¦ from (from 'a.csv') ¦ select (select content from read_text('x')) from raw.orders ¦ select * from raw.orders union all from 'a.csv' ¦ from raw.orders where n in (from 'a.csv')
""",
    "others": """
from information_schema.tables ¦ from duckdb_tables ¦ from duckdb_tables() ¦ from duckdb_settings() ¦ from duckdb_secrets() ¦ from duckdb_variables() ¦ from sqlite_master ¦ from pg_catalog.pg_class ¦ from pg_settings ¦ from main.t ¦ from memory.main.t ¦ from temp.t ¦ from system.main.duckdb_tables
from _candidate ¦ from _others ¦ from candidate ¦ from _held ¦ from _staged ¦ from _kept ¦ from _windows ¦ from "raw/shop/orders" ¦ from "orders (each once)" ¦ from quarantine.orders ¦ from shop.quarantine.orders ¦ from destinations.x ¦ from staging.nothing ¦ from nobody.raw.orders ¦ from t ¦ from orders
select _file from raw.orders ¦ select o._row from raw.orders o ¦ select * from raw.orders where _partition = '' ¦ with x as (select 1) from x, y ¦ with y as (from x), x as (select 1) from y ¦ from (with x as (select 1) from x) a, x ¦ from query('select 1') ¦ from query_table('t') ¦ from json_each('[1]') ¦ from json_execute_serialized_sql('x')
select * from pragma_version() ¦ select columns('n') from raw.orders ¦ select columns(*) from raw.orders ¦ select #1 from raw.orders ¦ select n from raw.orders order by #1 ¦ from (show tables) ¦ from (describe raw.orders) ¦ from (summarize raw.orders)
""",
    "environment": """
select getenv('HOME') ¦ select getvariable('masking_key') ¦ select current_setting('x') ¦ select version() from raw.orders ¦ select $1 ¦ select :nobody ¦ select $$x$$ ¦ select current_schema from raw.orders ¦ select current_user from raw.orders
select n from raw.orders where getenv('x') = '' ¦ select n from raw.orders order by getenv('x') ¦ select n from raw.orders group by getenv('x') ¦ select n from raw.orders qualify getenv('x') = '' ¦ select n from raw.orders limit (getenv('x')::int) ¦ select distinct on (getenv('x')) n from raw.orders
select n from raw.orders window w as (order by getenv('x')) ¦ values (getenv('x')) ¦ with x as (select getenv('x')) from x ¦ select unnest([getenv('x')]) ¦ from unnest([getenv('x')]) ¦ from range(getenv('x')::int) ¦ select * replace (getenv('x') as s) from raw.orders ¦ from (values (getenv('x'))) v(a) ¦ select n from raw.orders group by cube (getenv('x'))
{{ config() }} ¦ {% macro %} ¦ select {{ n }}.x from raw.orders ¦ select ${HOME} ¦ select * from ${TABLE} ¦ @os.getpid()
""",
    "statements": """
select 1; select 2 ¦ select 1; drop table t ¦ ; ¦ -- nothing ¦ 1 + 1 ¦ (select 1 ¦ copy t to 'x' ¦ copy (select 1) to '/tmp/x' ¦ attach 'x' ¦ install httpfs ¦ load httpfs ¦ set threads = 1 ¦ set variable k = 1 ¦ pragma version ¦ call pragma_version() ¦ export database 'x' ¦ use x ¦ checkpoint
create table x as select 1 ¦ create temp view v as select 1 ¦ create macro f(a) as a ¦ create secret s (type s3) ¦ insert into t select 1 ¦ delete from t ¦ update t set n = 1 ¦ drop table t ¦ truncate t ¦ alter table t drop n ¦ begin ¦ prepare x as select 1 ¦ execute x ¦ explain select 1 ¦ explain analyze select 1 ¦ describe raw.orders ¦ summarize raw.orders
select * into x from raw.orders ¦ select * from raw.orders for update ¦ with x as (insert into t values (1) returning *) from x ¦ pivot raw.orders on s using sum(n) ¦ unpivot raw.orders on n into name a value b ¦ from raw.orders pivot (sum(n) for s in ('a')) ¦ select n from raw.orders tablesample reservoir(5) ¦ select n from raw.orders using sample 5 ¦ select n from raw.orders at (version => 1)
""",
    "sizes": """
from range(1000000000000) ¦ from generate_series(1, 1000000000000) ¦ select repeat('x', 1000000000) ¦ select range(1000000000000) ¦ with recursive x(i) as (select 1 union all select i + 1 from x) from x ¦ with recursive x as (select 1 as i union all select i from x), y as (select 1) from x
with recursive a as (select 1), b(i) as (select 1 union all from b) select * from b ¦ select format('{:1000000000}', s) from raw.orders ¦ select n\\u200b from raw.orders ¦ select n from raw.orders -- \\u202e ¦ select rеad_text('x') ¦ select n\\u00a0from raw.orders
""",
}  # fmt: skip

DEEP = [
    "(" * 10_000 + "n" + ")" * 10_000,
    "coalesce(" * 10_000 + "n" + ")" * 10_000,
    "case when b then " * 2_000 + "n" + " end" * 2_000,
    "list_transform(l, lambda e: " * 1_000 + "e" + ")" * 1_000,
    "[" * 1_000 + "]" * 1_000,
    "{'a': " * 1_000 + "1" + "}" * 1_000,
    "not " * 10_000 + "b",
    "- " * 10_000 + "n",
    "cast(" * 1_000 + "n" + " as int)" * 1_000,
    "n" + "[1" * 1_000 + "]" * 1_000,
    "(select " * 1_000 + "1" + ")" * 1_000,
    "n" + " + 1" * 2_000,
    "b" + " or b" * 2_000,
    "n" + "::int" * 2_000,
    "s" + ".f" * 2_000,
    "x -> " * 1_000 + "1",
    "n" + ".upper()" * 1_000,
    "/*" * 20_000,
    "/*" * 10_000 + "*/" * 10_000,
    "'" + "x" * 200_000 + "'",
    "1" * 90_000,
    "n + " + "9" * 101,
    "0." + "1" * 1_000,
    "(" * 25 + "n" + ")" * 25,
    "coalesce(n, 1 + (" * 13 + "n" + "))" * 13,
]
"""Long and deep ones, for whom each is made: none may cost the stack or a minute."""


def cases(table: dict[str, str]) -> list[tuple[str, str]]:
    """Each text of a table with its family."""
    return [
        (
            family,
            part.strip()
            .replace("\\\\", "\x01")
            .encode("latin-1", "backslashreplace")
            .decode("unicode_escape")
            .replace("\x01", "\\"),
        )
        for family, lines in table.items()
        for line in lines.strip("\n").splitlines()
        for part in line.split(" ¦ ")
    ]
