"""The allow-list: which SQL of people may run, decided on its syntax tree.

Called by `plan.steps`, the modules of checks and `plan.queries` for every expression and statement.
What passes reads the columns and assets that it names, and computes; nothing reaches files, network,
environment, settings or other tables. What runs is generated from the tree that was looked at.
"""

import difflib
import functools
import math
from collections.abc import Collection
from typing import NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokens import TokenType  # pyright: ignore[reportPrivateImportUsage]

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.parameters import NO_PARAMETERS, RunParameters

_MOMENTS = ("partition_key", "partition_start", "partition_end", "watermark")
"""Parameters that statements may have, and expressions not."""
MAX_LENGTH = 100_000
MAX_DEPTH = 200

_AGGREGATES = """
any_value arg_max arg_min max_by min_by avg mean bit_and bit_or bit_xor bool_and bool_or
logical_and logical_or count count_if count_star corr covar_pop covar_samp entropy first last list
array_agg kurtosis mad max median min mode product quantile quantile_cont quantile_disc
percentile_cont percentile_disc approx_count_distinct approx_distinct approx_quantile regr_slope
regr_intercept regr_r2 skewness stddev stddev_pop stddev_samp string_agg group_concat sum
sum_no_overflow fsum variance var_pop variance_pop var_samp histogram sem favg arbitrary
approx_top_k
"""
_WINDOWS = """
cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
"""
_SCALARS = """
abs acos asin atan atan2 cbrt ceil ceiling cos cot degrees exp even factorial floor fmod gcd
greatest lcm least ln log log10 log2 mod pi pow power radians round sign sin sqrt tan trunc isnan
isinf isfinite is_nan is_inf safe_divide div array_length cardinality contains list_contains
array_contains element_at len list_distinct list_sort list_sum list_avg list_max list_min
list_value array array_to_string struct_pack struct_extract map_keys map_values unnest ascii
bit_length char_length character_length chr concat concat_ws ends_with starts_with instr left
length strlen levenshtein lower lpad ltrim md5 regexp_extract regexp_full_match regexp_like
regexp_matches regexp_replace regexp_split_to_array repeat replace reverse right rpad rtrim sha256
sha2 split split_part str_split string_split str_position strpos position substring substr
translate trim title initcap ucase upper lcase unicode ord strip_accents nfc_normalize to_char
format hex unhex to_base64 jaccard jaro_winkler_similarity case if iff ifnull coalesce nullif nvl
nvl2 is_null try cast try_cast current_date current_timestamp today now date date_add date_sub
date_diff datediff date_part datepart date_trunc timestamp_trunc dateadd datesub datetrunc day
dayname dayofmonth dayofweek day_of_week day_of_month day_of_year dayofyear epoch epoch_ms
epoch_us extract hour isodow isoyear last_day make_date make_time make_timestamp minute month
monthname quarter second strftime strptime try_strptime time_bucket time_to_str str_to_time
to_days to_hours to_minutes to_months to_seconds to_timestamp to_weeks to_years week weekofyear
week_of_year year yearweek interval date_from_parts timestamp_from_parts time_from_parts
unix_to_time age timestamp time ts_or_ds_to_date ts_or_ds_add ts_or_ds_diff timestamp_add
timestamp_sub timestamp_diff date_str_to_date date_to_date_str at_time_zone bit_count round_even
sha1 sha hash base64 from_base64 url_encode url_decode printf prefix suffix bar typeof
string_split_regex str_split_regex regexp_extract_all regexp_escape hamming damerau_levenshtein
jaro_similarity jarowinkler_similarity row map to_map map_entries map_contains map_contains_key
map_extract map_extract_value map_from_entries element_at struct_insert array_reverse
array_reverse_sort list_reverse list_reverse_sort list_position array_position list_indexof
list_count list_first list_last list_median list_unique list_concat array_concat list_cat
list_append array_append list_prepend array_prepend list_slice array_slice list_extract list_has
list_has_any list_has_all array_has array_has_any array_has_all array_contains_all array_overlaps
list_intersect array_intersect array_intersection list_zip list_any_value list_string_agg
list_mode list_transform array_transform transform list_filter array_filter filter list_reduce
reduce flatten range generate_series decade century era millisecond microsecond epoch_ns weekday
julian timezone make_timestamp_ms to_milliseconds to_microseconds to_years json_exists json_value
json_contains json_array_contains json_extract json_extract_string json_extract_scalar
json_array_length json_keys json_type json_valid jsonextract to_json json_object json_array
grouping grouping_id
"""
AGGREGATES = frozenset(_AGGREGATES.split())
"""Functions that merge rows, by their names in SQL."""
ALLOWED_FUNCTIONS = frozenset(f"{_AGGREGATES} {_WINDOWS} {_SCALARS}".split())
"""Functions by their names in SQL, aggregates and windows included."""

_QUERIES = (
    exp.Select,
    exp.SetOperation,
    exp.Subquery,
    exp.CTE,
    exp.With,
    exp.From,
    exp.Join,
    exp.Where,
    exp.Group,
    exp.Having,
    exp.Order,
    exp.Limit,
    exp.Offset,
    exp.Qualify,
    exp.Table,
    exp.TableAlias,
    exp.Values,
    exp.Exists,
    exp.Lateral,
    exp.Unnest,
    exp.Distinct,
    exp.Cube,
    exp.Rollup,
    exp.GroupingSets,
    exp.Any,
    exp.All,
    exp.Fetch,
)
_OPERATORS = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
    exp.Alias,
    exp.Aliases,
    exp.Star,
    exp.Dot,
    exp.Tuple,
    exp.Placeholder,
    exp.Var,
    exp.DataType,
    exp.DataTypeParam,
    exp.Interval,
    exp.IntervalSpan,
    exp.Binary,
    exp.Unary,
    exp.Between,
    exp.In,
    exp.Bracket,
    exp.Slice,
    exp.Lambda,
    exp.Kwarg,
    exp.AtTimeZone,
    exp.Collate,
    exp.JSONPath,
    exp.JSONPathPart,
    exp.Cast,
    exp.TryCast,
    exp.Case,
    exp.If,
    exp.And,
    exp.Or,
    exp.Xor,
    exp.Window,
    exp.WindowSpec,
    exp.Ordered,
    exp.Filter,
    exp.WithinGroup,
    exp.IgnoreNulls,
    exp.RespectNulls,
    exp.PropertyEQ,
    exp.Array,
    exp.Struct,
    exp.Comprehension,
    exp.JSONKeyValue,
)
_CLOCKS = (
    exp.CurrentTimestamp,
    exp.CurrentDate,
    exp.CurrentTime,
    exp.CurrentDatetime,
    exp.Localtime,
    exp.Localtimestamp,
)
_SERIES = frozenset({"range", "generate_series"})
"""Functions that may stand where a table does: they read nothing."""
_OPEN_TYPES = (exp.PseudoType, exp.ObjectIdentifier)
VALUE_ENDS = frozenset(
    {
        TokenType.VAR,
        TokenType.IDENTIFIER,
        TokenType.NUMBER,
        TokenType.STRING,
        TokenType.R_PAREN,
        TokenType.R_BRACKET,
        TokenType.L_BRACKET,
        TokenType.PARAMETER,
    }
)
"""After these a colon belongs to a slice, a struct or an alias."""
_ALWAYS_REFUSED = (
    exp.Command,
    exp.DDL,
    exp.DML,  # pyright: ignore[reportPrivateImportUsage]
    exp.Introducer,
    exp.SessionParameter,
    exp.Pivot,
    exp.Into,
    exp.Lock,
)


def parse_expression(
    text: str, location: Location, parameters: RunParameters = NO_PARAMETERS
) -> exp.Expr:
    """An expression over columns, looked at; parameters in it are variables.

    Args:
        text: as written.
        location: where it stands.
        parameters: those that it may name.

    Raises:
        ConfigurationError: it doesn't parse, or holds something that isn't allowed.
    """
    tree = _parse(_with_dollars(text, parameters.names), location, what="expression")
    if isinstance(tree, exp.Alias):
        _refuse(
            location, f"{_shown(text)}: an expression has no alias; the key before it is its name"
        )
    for node in tree.walk():
        if isinstance(node, (*_QUERIES, exp.Star)) and not _belongs_to_aggregate(node):
            _refuse(
                location,
                f"{_shown(text)}: an expression reads columns of its own asset; "
                "a query or * is not allowed",
            )
        if isinstance(node, exp.Unnest | exp.Explode):
            _refuse(
                location, f"{_shown(text)}: unnest multiplies rows, which an expression must not"
            )
        if isinstance(node, exp.Column) and (node.args.get("db") or node.args.get("catalog")):
            _refuse(
                location,
                f"{_shown(text)}: columns of other tables are not allowed in an expression",
            )
        if isinstance(node, exp.Placeholder | exp.Parameter) and node.name in _MOMENTS:
            _refuse(
                location,
                f"{_shown(text)}: :{node.name} belongs into SQL files and queries; an expression "
                "may name `parameters` of its asset",
            )
    _check_nodes(tree, text, location)
    return parameters.bind(tree, lambda _: location)


def parse_query(text: str, location: Location) -> exp.Query:
    """One SELECT over assets, looked at. Which tables it may read is the caller's business.

    Raises:
        ConfigurationError: it doesn't parse, is no query, or holds something that isn't allowed.
    """
    return _looked_at(text, location).copy()


def place_of_parameter(text: str, name: str, location: Location) -> Location:
    """Where a query names a parameter first.

    Args:
        text: the query, which can be read.
        name: of the parameter.
        location: where the query begins.
    """
    for token in sqlglot.tokenize(text, dialect="duckdb"):
        if token.text == name and text[token.start - 1 : token.start] in {":", "$"}:
            before = text[: token.start - 1]
            line = before.count("\n")
            column = len(before) - before.rfind("\n")
            shift = location.column - 1 if line == 0 else 0
            return Location(location.file, location.line + line, column + shift)
    return location


@functools.lru_cache(maxsize=8)
def _looked_at(text: str, location: Location) -> exp.Query:
    """The last ones are kept: who reads a query asks first what it names, then for its SQL."""
    tree = _parse(_with_dollars(text), location, what="query")
    if not isinstance(tree, exp.Query):
        _refuse(location, f"expected one SELECT, found {type(tree).__name__.upper()}")
    _check_nodes(tree, text, location)
    return tree


def render(tree: exp.Expr, *, pretty: bool = False) -> str:
    """The SQL of a tree in DuckDB's dialect, without comments."""
    return tree.sql(dialect="duckdb", pretty=pretty, comments=False)


def reads_clock(tree: exp.Expr) -> bool:
    """Whether an expression gives something else at another time."""
    return any(
        isinstance(node, _CLOCKS)
        or (isinstance(node, exp.Anonymous) and node.name.lower() in {"now", "today"})
        or (
            isinstance(node, exp.Anonymous)
            and node.name.lower() == "age"
            and len(node.expressions) == 1
        )
        for node in tree.walk()
    )


def quoted(name: str) -> str:
    """A name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A scalar as a literal of SQL."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case float() if not math.isfinite(value):
            return f"CAST('{value}' AS DOUBLE)"
        case int() | float():
            return str(value)
        case _:
            return render(exp.convert(value))


def _parse(text: str, location: Location, what: str) -> exp.Expr:
    if len(text) > MAX_LENGTH:
        _refuse(location, f"{what} of {len(text):,} characters; at most {MAX_LENGTH:,} are allowed")
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect="duckdb") if tree is not None]
    except (ParseError, TokenError) as error:
        raise ConfigurationError([_syntax_problem(error, text, location, what)]) from None
    except (SqlglotError, RecursionError) as error:
        _refuse(location, f"{what} can't be read: {type(error).__name__}")
    if len(trees) != 1:
        _refuse(location, f"expected one {what}, found {len(trees)}")
    return trees[0]


def _with_dollars(text: str, names: Collection[str] | None = None) -> str:
    """`:name` as `$name`, of the same length: a colon after SELECT is an alias to DuckDB.

    Args:
        text: SQL.
        names: only these; None means all.
    """
    if names is not None and not names:
        return text
    try:
        tokens = sqlglot.tokenize(text, dialect="duckdb")
    except TokenError:
        return text  # reading it tells what is wrong
    characters = list(text)
    for before, colon, name in zip([None, *tokens], tokens, tokens[1:], strict=False):
        named = name.text in names if names is not None else name.token_type == TokenType.VAR
        named = named and colon.token_type == TokenType.COLON
        if (
            named
            and name.start == colon.end + 1
            and not (before and before.token_type in VALUE_ENDS)
        ):
            characters[colon.start] = "$"
    return "".join(characters)


def _syntax_problem(error: Exception, text: str, location: Location, what: str) -> Problem:
    details = getattr(error, "errors", None)
    if not details:
        return Problem(location, f"{what} can't be read: {_shown(text)}")
    first = details[0]
    line, column = first.get("line") or 1, first.get("col") or 1
    near = (first.get("highlight") or "").strip()
    place = location
    if what == "query":
        place = Location(
            location.file,
            location.line + line - 1,
            column if line > 1 else location.column + column - 1,
        )
    return Problem(
        place,
        f"{what} can't be read{f' near {near!r}' if near else ''}: {first.get('description')}",
    )


def _check_nodes(tree: exp.Expr, text: str, location: Location) -> None:
    for node in tree.walk():
        if node.depth > MAX_DEPTH:
            _refuse(location, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, _ALWAYS_REFUSED):
            _refuse(location, f"{_shown(text)}: {type(node).__name__.upper()} is not allowed")
        if isinstance(node, (*_OPERATORS, *_QUERIES)):
            pass
        elif isinstance(node, exp.Func):
            _check_function(node, text, location)
        else:
            _refuse(location, f"{_shown(text)}: {type(node).__name__} is not allowed")
        if isinstance(node, _OPEN_TYPES) or (
            isinstance(node, exp.DataType) and node.this == exp.DType.USERDEFINED
        ):
            _refuse(location, f"{_shown(text)}: {node.sql('duckdb')} is no type that is known")
        if isinstance(node, exp.Table) and not _is_named_table(node):
            _refuse(
                location,
                f"{_shown(node.sql('duckdb'))}: table functions are not allowed; name an asset",
            )


def _is_named_table(table: exp.Table) -> bool:
    this = table.this
    if isinstance(this, exp.Identifier):
        return True
    name = this.name if isinstance(this, exp.Anonymous) else getattr(this, "sql_name", str)()
    return name.lower() in _SERIES


def _belongs_to_aggregate(node: exp.Expr) -> bool:
    """No query: `count(*)`, `sum(a) filter (where b)`, `string_agg(a order by b)`, `a = any(b)`."""
    inner = exp.Star | exp.Distinct | exp.Order | exp.Where
    return isinstance(node, exp.Any | exp.All) or (
        isinstance(node, inner)
        and isinstance(node.parent, exp.AggFunc | exp.Window | exp.Filter | exp.WithinGroup)
    )


def _check_function(node: exp.Func, text: str, location: Location) -> None:
    name = node.name.lower() if isinstance(node, exp.Anonymous) else node.sql_name().lower()
    written = (
        name if isinstance(node, exp.Anonymous) else render(node).partition("(")[0].strip().lower()
    )
    if name in ALLOWED_FUNCTIONS or written in ALLOWED_FUNCTIONS:
        return
    near = difflib.get_close_matches(written, ALLOWED_FUNCTIONS, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    _refuse(location, f"function {written or name!r} is not allowed{hint} (in {_shown(text)})")


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else f"{line[:57]}...")  # noqa: PLR2004  fits a terminal's line


def _refuse(location: Location, message: str) -> NoReturn:
    raise ConfigurationError([Problem(location, message)])
