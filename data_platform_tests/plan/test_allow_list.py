"""The SQL of people: what they use daily passes and means the same, what reaches out is refused."""

from pathlib import Path

import duckdb
import pytest

from data_platform.errors import ConfigurationError, Location
from data_platform.plan.sql.expressions import (
    literal,
    parse_expression,
    parse_query,
    quoted,
    render,
)

HERE = Location(Path("pipeline.yaml"), 3, 5)
TABLE = """
CREATE TABLE t AS SELECT 7::BIGINT AS n, 2::BIGINT AS k, 1.5::DOUBLE AS d, 2.25::DECIMAL(9,2) AS x,
  'a,b' AS s, 'c' AS r, TIMESTAMP '2024-03-01 10:30:00' AS ts, TIMESTAMP '2024-01-15 08:00:00' AS u,
  DATE '2024-03-01' AS day, TRUE AS b, [3, 1, 2]::BIGINT[] AS l, ['x', 'y'] AS w,
  MAP {'k': 1} AS m, {'f': 1, 'g': 'z'} AS st, '{"a": {"b": [1, 2]}, "c": "text"}' AS j
"""

EXPRESSIONS = """
n + k | n - k | n * k | n / k | n // k | n % k | n ^ k | n ** k | n & k | n << 1 | ~n | -n | +n
n = 1 and not b | b or n <> k | n != k | n == k | n is null | n is not null | b is true | b is not false
n is distinct from k | n is not distinct from k | n between 1 and 9 | n not between 1 and 9
n in (1, 7) | n not in (1, 2) | n = any([1, 7]) | n in [1, 7]
s like 'a%' | s ilike 'A%' | s not like 'b%' | s glob 'a*' | s similar to 'a.*' | s ~ 'a.*'
s || r | concat(s, r) | concat_ws('-', s, r) | 'it''s' || s
case when b then 1 else 2 end | case n when 7 then 'x' end | if(b, 1, 2) | ifnull(n, 0)
coalesce(n, k, 0) | nullif(n, 7) | greatest(n, k) | least(n, k)
n::integer | cast(n as varchar) | try_cast(s as bigint) | x::decimal(12,2) | n::varchar(10) | typeof(n)
abs(n) | sign(n) | round(d) | round(d, 1) | round_even(d, 0) | ceil(d) | ceiling(d) | floor(d) | trunc(d)
mod(n, 2) | pow(n, 2) | power(n, 2) | sqrt(n) | cbrt(n) | exp(d) | ln(d) | log(d) | log10(d) | log2(d)
sin(d) | cos(d) | tan(d) | asin(0.5) | acos(0.5) | atan(d) | atan2(d, d) | degrees(d) | radians(d) | pi()
isnan(d) | isfinite(d) | isinf(d) | factorial(3) | gcd(n, k) | lcm(n, k) | bit_count(n) | even(d)
upper(s) | lower(s) | ucase(s) | lcase(s) | trim(s) | trim(both 'a' from s) | ltrim(s) | ltrim(s, 'a') | rtrim(s)
lpad(s, 9, '0') | rpad(s, 9, ' ') | length(s) | len(s) | char_length(s) | strlen(s) | left(s, 2) | right(s, 2)
substr(s, 1, 2) | substring(s, 1, 2) | substring(s from 1 for 2) | replace(s, 'a', 'x') | reverse(s) | repeat(s, 2)
split_part(s, ',', 1) | string_split(s, ',') | str_split(s, ',') | split(s, ',') | string_split_regex(s, ',')
starts_with(s, 'a') | ends_with(s, 'b') | prefix(s, 'a') | suffix(s, 'b') | contains(s, 'a')
position('b' in s) | instr(s, 'b') | strpos(s, 'b') | ascii(s) | chr(65) | unicode(s) | ord(s)
format('{} {}', s, n) | printf('%d', n) | translate(s, 'a', 'x') | strip_accents(s) | nfc_normalize(s)
md5(s) | sha1(s) | sha256(s) | hash(s) | hex(s) | to_base64(s::blob) | base64(s::blob) | from_base64('YQ==')
url_encode(s) | url_decode(s) | levenshtein(s, r) | damerau_levenshtein(s, r) | hamming('ab', 'ac')
jaccard(s, s) | jaro_similarity(s, r) | jaro_winkler_similarity(s, r) | bar(n, 0, 10)
regexp_matches(s, 'a') | regexp_matches(s, 'A', 'i') | regexp_full_match(s, 'a.b') | regexp_replace(s, 'a', 'x')
regexp_replace(s, 'a', 'x', 'g') | regexp_extract(s, '(a)') | regexp_extract(s, '(a)', 1)
regexp_extract_all(s, '[a-z]') | regexp_split_to_array(s, ',') | regexp_escape(s)
date_trunc('month', ts) | datetrunc('month', ts) | date_part('year', ts) | datepart('year', ts)
extract(year from ts) | extract(dow from ts) | extract(epoch from ts) | date_diff('day', u, ts)
datediff('day', u, ts) | date_sub('day', u, ts) | datesub('month', u, ts) | date_add(day, interval 1 day)
ts + interval 1 day | ts - interval '2 hours' | day + interval (n) day | ts - u | day + 1 | to_days(3)
to_months(1) | to_years(1) | to_hours(1) | to_minutes(1) | to_seconds(1) | to_milliseconds(1) | to_weeks(1)
strftime(ts, '%Y-%m') | strptime('2024', '%Y') | try_strptime(s, '%Y') | make_date(2024, 1, 1)
make_timestamp(2024, 1, 1, 1, 1, 1.5) | last_day(day) | dayname(day) | monthname(day) | year(ts) | month(ts)
day(ts) | hour(ts) | minute(ts) | second(ts) | millisecond(ts) | microsecond(ts) | quarter(ts) | week(ts)
weekofyear(ts) | yearweek(ts) | isoyear(ts) | isodow(ts) | dayofweek(ts) | weekday(ts) | dayofmonth(ts)
dayofyear(ts) | decade(ts) | century(ts) | era(ts) | epoch(ts) | epoch_ms(ts) | epoch_us(ts) | epoch_ns(ts)
to_timestamp(n) | make_timestamp_ms(n) | age(ts, u) | ts at time zone 'Europe/Berlin' | timezone('UTC', ts)
current_date | current_timestamp | now() | today() | time_bucket(interval 1 day, ts) | julian(day)
date '2024-01-01' | timestamp '2024-01-01 10:00' | ts::date | cast(ts as timestamptz) | day::timestamp
l[1] | l[1:2] | m['k'] | st['f'] | st.f | w[1] || 'x' | [1, 2, 3] | {'a': n} | map {'a': n} | row(n, k)
struct_pack(a := n) | struct_extract(st, 'f') | struct_insert(st, h := 1) | map_keys(m) | map_values(m)
map_entries(m) | map_contains(m, 'k') | element_at(m, 'k') | map_extract(m, 'k') | cardinality(m) | map_from_entries([('a', 1)])
list_value(n, k) | list_contains(l, 1) | list_has(l, 1) | list_position(l, 1) | list_sort(l) | list_reverse_sort(l)
list_sum(l) | list_avg(l) | list_min(l) | list_max(l) | list_count(l) | list_first(l) | list_last(l) | list_median(l)
list_distinct(l) | list_unique(l) | list_concat(l, [4]) | list_append(l, 4) | list_prepend(0, l) | list_slice(l, 1, 2)
list_extract(l, 1) | list_reverse(l) | list_has_any(l, [1]) | list_has_all(l, [1]) | list_intersect(l, [1])
list_zip(l, w) | list_any_value(l) | list_string_agg(w) | flatten([[1], [2]])
list_transform(l, lambda e: e + 1) | list_filter(l, lambda e: e > 1) | list_reduce(l, lambda a, e: a + e)
[e + 1 for e in l if e > 1] | array_length(l) | array_contains(l, 1) | array_to_string(w, ',') | array_agg(n)
range(3) | generate_series(1, 3) | json_extract(j, '$.a.b') | json_extract_string(j, '$.c') | j -> '$.a' | j ->> '$.c'
j ->> 'c' | json_value(j, '$.c') | json_array_length(j, '$.a.b') | json_keys(j) | json_type(j) | json_valid(j)
json_exists(j, '$.a') | to_json(st) | json_object('a', n) | json_array(n, k) | json_contains(j, '"text"')
count(*) | count() | count(n) | count(distinct n) | count(distinct (n, k)) | sum(n) | sum(distinct n) | avg(n) | mean(n)
min(n) | max(n) | min(n, 2) | min_by(s, n) | max_by(s, n) | arg_min(s, n) | arg_max(s, n) | arg_max(s, n, 2)
median(n) | mode(s) | mad(n) | quantile_cont(n, 0.5) | quantile_cont(n, [0.1, 0.9]) | quantile_disc(n, 0.5) | quantile(n, 0.5)
percentile_cont(0.5) within group (order by n) | stddev(n) | stddev_pop(n) | stddev_samp(n) | variance(n)
var_pop(n) | var_samp(n) | sem(n) | corr(n, k) | covar_pop(n, k) | covar_samp(n, k) | regr_slope(n, k) | regr_r2(n, k)
string_agg(s, ',') | string_agg(s, ',' order by n) | string_agg(distinct s, ',') | group_concat(s, ',') | listagg(s, ',')
list(n) | list(n order by n desc) | list(distinct n) | first(n) | last(n) | first(n order by ts) | any_value(n) | arbitrary(n)
bool_and(b) | bool_or(b) | bit_and(n) | bit_or(n) | count_if(b) | countif(b) | sum(n) filter (where b) | fsum(d) | favg(d) | product(n)
approx_count_distinct(n) | approx_quantile(n, 0.5) | approx_top_k(n, 2) | histogram(n) | entropy(n) | skewness(n) | kurtosis(n)
row_number() over (partition by s order by n desc) | rank() over (order by n) | dense_rank() over (order by n)
lag(n) over (order by ts) | lag(n, 1, 0) over (order by ts) | lead(n) over (partition by s order by ts)
first_value(n) over (order by ts) | last_value(n) over (order by ts rows between unbounded preceding and unbounded following)
nth_value(n, 2) over (order by ts) | ntile(4) over (order by n) | percent_rank() over (order by n) | cume_dist() over (order by n)
sum(n) over (partition by s order by ts rows between 6 preceding and current row) | count(*) over ()
avg(n) over (order by ts range between interval 6 days preceding and current row)
lag(n ignore nulls) over (order by ts) | last_value(n ignore nulls) over (order by ts) | sum(n) filter (where b) over ()
"n" + 1 | N + 1 | 1e3 | 0.5 | true | null | '-- no comment' | '; drop' | (n + k) * 2 | b::int | (n, k) = (7, 2)
"""  # noqa: E501

REFUSED_EXPRESSIONS = """
read_text('/etc/passwd') ¦ read_csv('/etc/passwd') ¦ read_parquet('x') ¦ read_json('x') ¦ read_blob('x') ¦ glob('*')
"read_text"('/etc/passwd') ¦ main.read_text('x') ¦ system.main.read_text('x') ¦ READ_TEXT('x') ¦ ｒead_text('x')
getenv('HOME') ¦ current_setting('x') ¦ getvariable('x') ¦ version() ¦ current_user ¦ current_database() ¦ current_schema()
current_schemas(true) ¦ nextval('s') ¦ currval('s') ¦ txid_current() ¦ pg_backend_pid() ¦ pg_read_file('x')
query('select 1') ¦ query_table('t') ¦ sqlite_scan('x', 'y') ¦ postgres_scan('x', 'y', 'z') ¦ duckdb_settings()
error('x') ¦ sleep_ms(1000) ¦ write_log('x') ¦ random() ¦ uuid() ¦ gen_random_uuid() ¦ setseed(1) ¦ in_search_path('a', 'b')
(select 1) ¦ n + (select max(n) from t) ¦ (from t) ¦ (table t) ¦ exists(select 1) ¦ n in (select n from t) ¦ n = any(select 1)
array(select 1) ¦ (values (1)) ¦ (with x as (select 1) select * from x) ¦ [x for x in (select 1)] ¦ unnest(l)
@os.getpid() ¦ __import__('os') ¦ __import__('os').system('id') ¦ eval('1') ¦ os.getpid()
* ¦ t.* ¦ columns(*) ¦ columns('n') ¦ sum(columns(*)) ¦ *columns(*) ¦ * exclude (n)
db.schema.t.n ¦ a.b.c ¦ $1 ¦ ? ¦ :name ¦ $name ¦ ${n} ¦ #1
n; select 1 ¦ n; drop table t ¦ drop table t ¦ insert into t values (1) ¦ copy t to 'x' ¦ attach 'x' ¦ install httpfs
load httpfs ¦ pragma version ¦ set threads = 1 ¦ call pragma_version() ¦ export database 'x' ¦ create table x as select 1
n as m ¦ n m ¦ n, k ¦  ¦ -- n ¦ /* n */ ¦ 1 + ¦ (n ¦ n) ¦ 'n ¦ "n ¦ n + * 2 ¦ select ¦ select n
n /* */ from t ¦ n from t ¦ n where b ¦ n order by n ¦ n union select 1 ¦ n limit 1 ¦ case ¦ cast(n as)
n::blob::main.x ¦ cast('t' as regclass) ¦ 't'::regclass ¦ nosuchfunction(n) ¦ sum(read_text('x')) ¦ coalesce(n, getenv('x'))
case when b then getenv('x') end ¦ list_transform(l, lambda e: getenv('x')) ¦ [getenv(e) for e in w] ¦ {'a': getenv('x')}
sum(n) filter (where getenv('x') = '') ¦ row_number() over (order by getenv('x')) ¦ s like getenv('x') ¦ l[getenv('x')::int]
string_agg(s, ',' order by getenv('x')) ¦ list_aggregate(l, 'getenv') ¦ list_aggr(l, s) ¦ array_apply(l, getenv)
"""  # noqa: E501, RUF001

QUERIES = """
select * from t | from t | from t select n | select n, k from t where b | select t.* from t | select distinct n from t
select * exclude (n) from t | select * replace (n + 1 as n) from t | select * rename (n as z) from t
select distinct on (s) s, n from t order by s, n desc | select n from t order by 1 limit 3 offset 1
select s, sum(n) from t group by s | select s, sum(n) from t group by all order by all | select s, sum(n) a from t group by 1 having a > 0
select s, r, sum(n) from t group by rollup (s, r) | select s, r, sum(n) from t group by cube (s, r) | select s, r, grouping(s) from t group by grouping sets ((s), (r))
select n from t qualify row_number() over (partition by s order by n) = 1 | select sum(n) over w from t window w as (order by n)
with x as (select n from t) select * from x | with x as (select n from t), y as (select n from x) select * from y
with recursive x(i) as (select 1 union all select i + 1 from x where i < 3) select i from x | with X as (select 1 a) select * from x
with x as materialized (select n from t) select * from x | select * from (select n from t) | select * from (select n from t) q
select a.n from t a join t c on a.n = c.n | select n from t join t c using (n) | select * from t a left join t c using (n)
select * from t a full join t c on a.n = c.n | select * from t a cross join t c | select * from t a, t c where a.n = c.n
select * from t a semi join t c using (n) | select * from t a anti join t c using (n) | select * from t a natural join t c
select * from t a asof join t c on a.n >= c.n | select * from t a positional join t c | select * from t a, lateral (select a.n + 1 z) q
select n from t union select k from t | select n from t union all by name select k from t | select n from t intersect select k from t | select n from t except select k from t
select n, (select max(k) from t c where c.n = a.n) m from t a | select n from t where n in (select k from t) | select n from t a where exists (select 1 from t c where c.n = a.n)
select n from t where n > all (select 1) | select unnest(l) from t | select s, e from t, unnest(l) q(e) | select * from (values (1, 'a'), (2, 'b')) v(i, c)
select case when b then n end as "odd name" from t | select n as select_ from t -- a comment
select /* a comment */ n from t | select count(*), count(distinct s), sum(n) filter (where b) from t
select date_trunc('month', ts) as month, count(*) from t group by month order by month | select {'a': n} as st from t
select list(n order by n desc) from t | select string_agg(distinct s, ',') from t | select max_by(s, n) from t
select n, i from t, generate_series(1, 3) g(i) | select i from range(3) r(i) | select n from t order by n desc nulls last
select ((((n)))) from t | select t.st.f from t | select st.* from t | select * like 'n%' from t
"""  # noqa: E501

REFUSED_QUERIES = """
select * from read_csv('x') ¦ select * from read_text('/etc/passwd')
select * from glob('*') ¦ select * from duckdb_settings() ¦ select * from query('select 1') ¦ select * from query_table('t')
select * from sqlite_scan('a', 'b') ¦ select * from pragma_version() ¦ select * from json_each('[1]') ¦ select * from parquet_scan('x')
select * from t, lateral read_text('x') ¦ select * from (select * from read_text('x')) ¦ with x as (from read_text('x')) from x
select * into x from t ¦ create table x as select 1 ¦ insert into t select 1 ¦ delete from t ¦ update t set n = 1 ¦ drop table t ¦ truncate t
copy t to 'x' ¦ copy (select 1) to 'x' ¦ attach 'x' ¦ detach x ¦ use x ¦ install httpfs ¦ load httpfs ¦ pragma version ¦ set threads = 1
call pragma_version() ¦ explain select 1 ¦ describe t ¦ describe select 1 ¦ summarize t ¦ show tables ¦ from (describe t) ¦ from (summarize t)
prepare x as select 1 ¦ execute x ¦ deallocate x ¦ create macro f(a) as a ¦ export database 'x' ¦ checkpoint ¦ vacuum ¦ begin
select 1; select 2 ¦ select 1; drop table t ¦ ; ¦  ¦ -- nothing ¦ 1 + 1 ¦ n ¦ (select 1 ¦ select n n n from t
pivot t on s using sum(n) ¦ unpivot t on n into name a value b ¦ from t pivot (sum(n) for s in ('a')) ¦ select * from t unpivot (v for c in (n, k))
select * from t for update ¦ select getenv('x') from t ¦ select n from t where getenv('x') = '' ¦ select n from t order by getenv('x')
select n from t group by getenv('x') ¦ select n from t having getenv('x') = '' ¦ select n from t qualify getenv('x') = '' ¦ select n from t limit (getenv('x')::int)
select * from t a join t c on getenv('x') = '' ¦ select * replace (getenv('x') as n) from t ¦ select t.* replace (read_text('x') as n) from t
select columns('n') from t ¦ select columns(*) from t ¦ select columns(lambda c: getenv('x') = c) from t ¦ select n from t window w as (order by getenv('x')) ¦ values (getenv('x')) ¦ select (values (getenv('x')))
with x as (select getenv('x')) select * from x ¦ select * from (values (getenv('x'))) v(a) ¦ select unnest([getenv('x')]) from t ¦ select * from unnest([getenv('x')])
select n from t tablesample reservoir(5) ¦ select n from t using sample 5 ¦ select n from t at (version => 1)
"""  # noqa: E501


def cases(text: str, separator: str) -> list[str]:
    lines = text.strip("\n").splitlines()
    return [case.strip() for line in lines for case in line.split(f" {separator} ")]


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(TABLE)
    return connection


@pytest.mark.parametrize("text", cases(EXPRESSIONS, "|"))
def test_what_people_use_daily_passes_and_means_the_same(
    text: str, database: duckdb.DuckDBPyConnection
) -> None:
    rendered = render(parse_expression(text, HERE))
    now = {"current_timestamp", "now()"}  # each time another
    expected = database.execute(f"SELECT {text} FROM t").fetchall()
    found = database.execute(f"SELECT {rendered} FROM t").fetchall()
    assert text in now or repr(found) == repr(expected)


@pytest.mark.parametrize("text", cases(REFUSED_EXPRESSIONS, "¦"))
def test_what_reaches_out_of_an_expression_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^pipeline.yaml:3:5: "):
        parse_expression(text, HERE)


@pytest.mark.parametrize("text", cases(QUERIES, "|"))
def test_ordinary_queries_pass_and_mean_the_same(
    text: str, database: duckdb.DuckDBPyConnection
) -> None:
    rendered = render(parse_query(text, HERE), pretty=True)
    found, expected = (database.execute(sql).fetchall() for sql in (rendered, text))
    assert sorted(map(repr, found)) == sorted(map(repr, expected))  # groups come in any order


@pytest.mark.parametrize("text", cases(REFUSED_QUERIES, "¦"))
def test_what_is_more_than_one_select_over_assets_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^pipeline.yaml:3:\d+: "):
        parse_query(text, HERE)


@pytest.mark.parametrize(
    "text",
    [
        "n" + " + 1" * 60_000,
        "(" * 5_000 + "n" + ")" * 5_000,
        "(" * 300 + "n" + ")" * 300,
        "-" * 1 + "(-" * 400 + "n" + ")" * 400,
        "coalesce(" * 1_000 + "n" + ")" * 1_000,
        "case when b then " * 400 + "n" + " end" * 400,
        "not " * 3_000 + "b",
        "n" + " || s" * 5_000,
        "[" * 400 + "]" * 400,
        "'" + "x" * 200_000 + "'",
    ],
)
def test_what_is_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"deeper than|at most|can't be read"):
        parse_expression(text, HERE)


def test_a_long_list_is_no_deep_nesting(database: duckdb.DuckDBPyConnection) -> None:
    values = ", ".join(str(number) for number in range(2_000))
    assert "1999" in render(parse_expression(f"n in ({values})", HERE))


def test_a_chain_of_a_hundred_conditions_passes() -> None:
    text = " or ".join(f"n = {number}" for number in range(100))
    assert "99" in render(parse_expression(text, HERE))


def test_a_misspelled_function_names_the_right_one() -> None:
    with pytest.raises(
        ConfigurationError, match=r"function 'coalese' is not allowed; did you mean coalesce"
    ):
        parse_expression("coalese(a, b)", HERE)


def test_comments_do_not_run() -> None:
    text = "n /* */ + 1 -- */ ; drop table t"
    assert render(parse_expression(text, HERE)) == "n + 1"


@pytest.mark.parametrize(
    "value",
    ["it's", 'say "x"', "a;b", "\\'", "'; drop table t --", "größe😀", "a\nb", "", "$1", "x\\"],
)
def test_a_text_comes_back_from_its_literal(
    value: str, database: duckdb.DuckDBPyConnection
) -> None:
    assert database.execute(f"SELECT {literal(value)}").fetchall() == [(value,)]


@pytest.mark.parametrize("value", [True, 0, -5, 2**62, 1.5, 1e-10, float("inf"), 1e300])
def test_a_number_comes_back_from_its_literal(
    value: float, database: duckdb.DuckDBPyConnection
) -> None:
    assert database.execute(f"SELECT {literal(value)}::DOUBLE").fetchall() == [(float(value),)]


@pytest.mark.parametrize("name", ['we"ird', "a b", "select", "größe", "a.b", "'"])
def test_a_name_comes_back_from_its_quotes(name: str, database: duckdb.DuckDBPyConnection) -> None:
    assert database.execute(f"SELECT 1 AS {quoted(name)}").description[0][0] == name


def test_a_word_that_the_parser_stumbles_over_is_told_as_it_is_written() -> None:
    with pytest.raises(ConfigurationError, match=r"but got '='$"):
        parse_expression("copy = 1", HERE)
