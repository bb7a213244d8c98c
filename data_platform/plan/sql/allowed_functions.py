"""What SQL of people may be made of: the functions, and the parts of SQLGlot's syntax trees.

A table, read by `plan.sql.allow_list`, which walks a tree, and by `plan.lineage.expressions`.
Nothing here reads files, network, environment, settings, variables or tables that weren't named,
and nothing gives another result at each call but the clock.
"""

from collections.abc import Mapping

from sqlglot import exp

_AGGREGATES = """
any_value arbitrary arg_max arg_min max_by min_by avg mean favg sum fsum sum_no_overflow product
count count_if count_star min max median mode mad quantile quantile_cont quantile_disc
bit_and bit_or bit_xor bool_and bool_or corr covar_pop covar_samp entropy kurtosis skewness sem
regr_slope regr_intercept regr_r2 stddev stddev_pop stddev_samp variance var_pop var_samp
first last list array_agg string_agg group_concat listagg histogram
approx_count_distinct approx_quantile approx_top_k
"""
_WINDOWS = """
cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
"""
_NUMBERS = """
abs acos asin atan atan2 bit_count cbrt ceil ceiling cos cot degrees even exp factorial floor fmod
gcd greatest lcm least ln log log10 log2 mod pi pow power radians round round_even sign sin sqrt
tan trunc isnan isinf isfinite
"""
_TEXTS = """
ascii bar base64 bit_length char_length character_length chr concat concat_ws contains
damerau_levenshtein ends_with format from_base64 hamming hash hex instr jaccard jaro_similarity
jaro_winkler_similarity lcase left len length levenshtein lower lpad ltrim md5 nfc_normalize ord
position prefix printf regexp_escape regexp_extract regexp_extract_all regexp_full_match
regexp_matches regexp_replace regexp_split_to_array repeat replace reverse right rpad rtrim sha1
sha256 split split_part starts_with str_split str_split_regex string_split string_split_regex
strip_accents strlen strpos substr substring suffix to_base64 translate trim ucase unhex unicode
upper url_decode url_encode
"""
_CHOICES = "if nullif typeof"
_TIMES = """
age century current_date date_add date_diff date_part date_sub date_trunc datediff datepart datesub
datetrunc day dayname dayofmonth dayofweek dayofyear decade epoch epoch_ms epoch_ns epoch_us era
hour isodow isoyear julian last_day make_date make_time make_timestamp make_timestamp_ms
microsecond millisecond minute month monthname now quarter second strftime strptime time_bucket
timezone to_days to_hours to_microseconds to_milliseconds to_minutes to_months to_seconds
to_timestamp to_weeks to_years today try_strptime week weekday weekofyear year yearweek
"""
_NESTED = """
array_append array_concat array_contains array_filter array_has array_has_all array_has_any
array_intersect array_length array_position array_prepend array_reverse array_reverse_sort
array_slice array_to_string array_transform cardinality element_at filter flatten generate_series
list_any_value list_append list_avg list_cat list_concat list_contains list_count list_distinct
list_extract list_filter list_first list_has list_has_all list_has_any list_indexof list_intersect
list_last list_max list_median list_min list_mode list_position list_prepend list_reduce
list_reverse list_reverse_sort list_slice list_sort list_string_agg list_sum list_transform
list_unique list_value list_zip map map_contains map_entries map_extract map_extract_value
map_from_entries map_keys map_values range reduce row struct_extract struct_insert struct_pack
unnest
"""
_JSON = """
json_array json_array_length json_contains json_exists json_extract json_extract_string json_keys
json_object json_type json_valid json_value to_json
"""
_SYNTAX = """
array at_time_zone case cast coalesce current_timestamp extract grouping grouping_id ifnull
interval percentile_cont percentile_disc try try_cast
"""
"""What looks like a function, or is one to SQLGlot, and is syntax to DuckDB."""
_OTHER_SPELLINGS = """
approx_distinct array_contains_all array_intersection array_overlaps date date_from_parts
date_str_to_date date_to_date_str dateadd day_of_month day_of_week day_of_year div iff initcap
is_inf is_nan is_null jarowinkler_similarity json_array_contains json_extract_scalar jsonextract
logical_and logical_or map_contains_key nvl nvl2 regexp_like safe_divide sha sha2 str_position
str_to_time time time_from_parts time_to_str timestamp timestamp_add timestamp_diff
timestamp_from_parts timestamp_sub timestamp_trunc title to_char to_map transform ts_or_ds_add
ts_or_ds_diff ts_or_ds_to_date unix_to_time variance_pop week_of_year
"""
"""SQLGlot's names of functions that it writes as DuckDB's, where these are called otherwise."""

AGGREGATES = frozenset(f"{_AGGREGATES} percentile_cont percentile_disc".split())
"""Functions that merge rows, by their names in SQL."""
RUNNING = frozenset(
    f"{_AGGREGATES} {_WINDOWS} {_NUMBERS} {_TEXTS} {_CHOICES} {_TIMES} {_NESTED} {_JSON}".split()
)
"""DuckDB's own names of what may run."""
ALLOWED_FUNCTIONS = RUNNING | frozenset(f"{_SYNTAX} {_OTHER_SPELLINGS}".split())
"""Functions as they may be written, aggregates and windows included."""

REFUSED_BECAUSE: Mapping[str, str] = {
    "it reaches files or the network": r"(read|write|sniff|scan|copy|load)_.*|glob|.*"
    r"_scan|parquet_.*|delta_.*|iceberg_.*|.*_attach|st_read.*|add_parquet_key|http.*|.*_query|"
    r"sniff_csv|load_aws_credentials|pg_(read|ls)_.*|write_log|enable_logging|lo_(im|ex)port",
    "it reads the environment or the session": r"getenv|getvariable|current_.*|session_user|user|"
    r"pragma_.*|duckdb_.*|pg_.*|version|which_secret|txid_current|in_search_path|.*_setting|"
    r"set_config|inet_.*|connection_id|checkpoint|force_checkpoint|has_.*_privilege|.*_secret",
    "it reads other tables, or runs SQL that nobody looked at": r"query|query_table|.*_serialize.*"
    r"|json_execute.*|test_.*|nextval|currval|seq_scan|summary|show_.*|table_info|storage_info|"
    r"dblink.*|eval|exec(ute)?|columns|json_each|json_tree|repeat_row|unpivot|pivot",
    "it gives something else each time": r"random|uuid.*|gen_random_uuid|setseed|rand|.*_nextval",
    "it stops or disturbs the run": r"error|sleep.*|pg_sleep.*|.*_terminate.*|.*_cancel.*",
}
"""Why a function isn't among them, by a pattern of its name: for the message alone, since what
isn't in the list is refused anyway."""

QUERIES = (
    exp.Select, exp.SetOperation, exp.Subquery, exp.CTE, exp.With, exp.From, exp.Join, exp.Where,
    exp.Group, exp.Having, exp.Order, exp.Limit, exp.Offset, exp.Qualify, exp.Table,
    exp.TableAlias, exp.Values, exp.Exists, exp.Lateral, exp.Unnest, exp.Distinct, exp.Cube,
    exp.Rollup, exp.GroupingSets, exp.Any, exp.All, exp.Fetch,
)  # fmt: skip
"""Parts of queries, which no expression has."""

OPERATORS = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Alias,
    exp.Aliases, exp.Star, exp.Dot, exp.Tuple, exp.Placeholder, exp.Var, exp.DataType,
    exp.DataTypeParam, exp.Interval, exp.IntervalSpan, exp.Binary, exp.Unary, exp.Between, exp.In,
    exp.Bracket, exp.Slice, exp.Lambda, exp.Kwarg, exp.AtTimeZone, exp.Collate, exp.JSONPath,
    exp.JSONPathPart, exp.Cast, exp.TryCast, exp.Case, exp.If, exp.And, exp.Or, exp.Xor,
    exp.Window, exp.WindowSpec, exp.Ordered, exp.Filter, exp.WithinGroup, exp.IgnoreNulls,
    exp.RespectNulls, exp.PropertyEQ, exp.Array, exp.Struct, exp.Comprehension, exp.JSONKeyValue,
)  # fmt: skip
"""Parts of expressions that aren't functions."""

ALWAYS_REFUSED = (
    exp.Command, exp.DDL, exp.DML,  # pyright: ignore[reportPrivateImportUsage]
    exp.Introducer, exp.SessionParameter, exp.Pivot, exp.Into, exp.Lock,
)  # fmt: skip
"""Also where a part of SQLGlot's is one of the others besides."""

CLOCKS = (
    exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.CurrentDatetime, exp.Localtime,
    exp.Localtimestamp,
)  # fmt: skip
"""What reads the clock, where SQLGlot has a name of its own for it."""

SERIES = frozenset({"range", "generate_series"})
"""Functions that may stand where a table does: they read nothing."""
OPEN_TYPES = (exp.PseudoType, exp.ObjectIdentifier)
"""Types that look something up in the catalogue."""
