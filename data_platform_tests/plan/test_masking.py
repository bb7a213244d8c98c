"""Personal data: where it goes, where it may not be, and what is hidden of it."""

import pytest
from factories import PLATFORM, Project, key_of, outcome

from data_platform.plan.nodes import LakeNode, StagingNode
from data_platform.plan.schemas import NO_MASKING

KEYED = f"{PLATFORM}masking:\n  key: a key of twenty-four signs\n"
PEOPLE = """
staging:
  people:
    from: raw.orders
    transformations:
      - rename_columns: {mail: email}
      - add_columns:
          domain: split_part(email, '@', 2)
          known: email is not null
    columns:
      id: {type: bigint}
      email: {type: varchar, pii: true}
      city: {type: varchar}
    extra_columns: keep
"""
WAY = "raw.orders.mail -> staging.people.email"


def problems(project: Project, below: str, body: str = PEOPLE) -> list[str]:
    """What is wrong with a pipeline; warnings, as of the key that is written out, left out."""
    project.platform(KEYED)
    project.declare(body + below)
    return [problem for problem in project.problems() if "warning: " not in problem]


def analytics(select: str) -> str:
    """An analytics asset `found`."""
    return f"analytics:\n  found:\n    query: {select}\n"


def hidden(project: Project, names: str) -> dict[str, str]:
    """Of these columns, which each asset hides."""
    plan = project.build().plan
    nodes = [node for node in plan.nodes if isinstance(node, LakeNode)]
    return {
        f"{node.key.layer}/{node.key.name}": " ".join(
            name for name in names.split() if node.masking.hides(name)
        )
        for node in nodes
    }


REFUSED = (
    "select email from staging.people",
    "select lower(email) as who from staging.people",
    "select max(email) as who from staging.people",
    "select list(email) as who from staging.people",
    "select any_value(email) as who from staging.people",
    "select string_agg(email, '; ') as who from staging.people",
    "select email = 'me@x.org' as who from staging.people",
    "select sha256(email) as who from staging.people",
    "select case when id > 1 then email end as who from staging.people",
    "select count(*) || min(email) as who from staging.people",
    "select (select max(email) from staging.people) as who",
    "with c as (select email as e from staging.people) select e as who from c",
    "select city as who from staging.people union select email from staging.people",
    "select p.email as who from staging.people p join staging.people q using (id)",
    "select first_value(email) over (order by id) as who from staging.people",
    "select mail as who from raw.orders",
)
CLEARED = (
    "select count(email) as n, count(distinct email) as people from staging.people",
    "select approx_count_distinct(email) as n from staging.people",
    "select count_if(email like '%@x') as n from staging.people",
    "select count(*) filter (where email like '%@x.org') as n from staging.people",
    "select city, count(*) as n from staging.people group by city, email",
    "select id, email is null as unknown, email is not null as known from staging.people",
    "select sum(case when email is null then 1 else 0 end) as n from staging.people",
    "select city from staging.people where email like '%@x.org' order by email",
    "select row_number() over (order by email) as n from staging.people",
    "select count(email) over (partition by email) as n from staging.people",
    "select id from staging.people where exists (select email from staging.people)",
    "select known from staging.people",
    "select id, city from staging.people",
)


def test_a_personal_value_may_not_reach_analytics(project: Project) -> None:
    below = "".join(f"  a{n}:\n    query: {select}\n" for n, select in enumerate(REFUSED))
    found = problems(project, f"analytics:\n{below}")
    assert len(found) == len(REFUSED)
    for number, problem in enumerate(found):
        column = "email" if number == 0 else "who"
        way = "raw.orders.mail" if "raw." in REFUSED[number] else WAY
        assert f": {column} tells of a person, and may not reach analytics: {way} -> " in problem
        assert f"-> analytics.a{number}.{column}; mask it in staging" in problem
        assert problem.startswith(f"shop/pipeline.yaml:{22 + 2 * number}:")


def test_counts_null_tests_and_the_choice_of_rows_clear_it(project: Project) -> None:
    below = "".join(f"  a{n}:\n    query: {select}\n" for n, select in enumerate(CLEARED))
    assert problems(project, f"analytics:\n{below}") == []


def test_what_is_made_of_the_same_values_is_personal_too(project: Project) -> None:
    [problem] = problems(project, analytics("select domain from staging.people"))
    assert "raw.orders.mail -> staging.people.domain -> analytics.found.domain" in problem


def test_a_mask_clears_it(project: Project) -> None:
    body = PEOPLE.replace("    columns:", "      - mask: {email: partial}\n    columns:")
    below = analytics("select email, max(email) as top from staging.people")
    assert problems(project, below, body) == []


def test_a_mask_clears_nothing_that_was_made_of_the_value_before(project: Project) -> None:
    body = PEOPLE.replace("    columns:", "      - mask: {email: hash}\n    columns:")
    [problem] = problems(project, analytics("select email, domain from staging.people"), body)
    assert "raw.orders.mail -> staging.people.domain -> analytics.found.domain" in problem


def test_a_mark_on_what_replaced_a_masked_column_counts(project: Project) -> None:
    body = PEOPLE.replace(
        "    columns:",
        "      - mask: {email: hash}\n      - add_columns: {email: concat(city)}\n    columns:",
    )
    [problem] = problems(project, analytics("select email from staging.people"), body)
    assert "staging.people.email -> analytics.found.email" in problem


def test_a_mark_in_raw_is_followed_through_columns_that_nobody_names(project: Project) -> None:
    body = """
sources:
  orders:
    type: file
    path: o.parquet
    partitions: none
    columns: {mail: {pii: true}}
staging:
  people:
    from: raw.orders
"""
    [problem] = problems(project, analytics("select * from staging.people"), body)
    assert "raw.orders.mail -> staging.people.mail -> analytics.found.mail" in problem
    assert problems(project, analytics("select * exclude (mail) from staging.people"), body) == []
    assert hidden(project, "mail city") == {
        "raw/orders": "mail",
        "staging/people": "mail",
        "analytics/found": "",
    }


def test_all_ways_are_told_at_once_with_other_mistakes(project: Project) -> None:
    below = (
        "analytics:\n"
        "  one: {sql: one.sql}\n"
        "  two: {query: select contact from analytics.one}\n"
        "  three: {query: select nothing_of_it from staging.nowhere}\n"
        "  four: {query: select email from staging.people, columns: {email: {}}}\n"
    )
    sql = "-- contacts\nselect\n  id,\n  upper(email) as contact\nfrom staging.people\n"
    folder = project.pipelines / "shop"
    folder.mkdir()
    (folder / "one.sql").write_text(sql)
    found = problems(project, below)
    assert len(found) == 3
    assert found[0].startswith("shop/one.sql:4:9: contact tells of a person")
    assert "there is no asset staging.nowhere" in found[1]
    assert "-> analytics.four.email" in found[2]


def test_a_destination_takes_no_personal_data(project: Project) -> None:
    below = (
        "destinations:\n"
        "  out: {from: staging.people, type: database, connection: shop, table: a.b}\n"
    )
    found = problems(project, below)
    assert [problem.partition(": ")[0] for problem in found] == ["shop/pipeline.yaml:21:9"] * 2
    assert f"email tells of a person, and may not reach a destination: {WAY} -> " in found[1]
    assert "destinations.out.email" in found[1]


def test_a_pipeline_that_reads_what_is_refused_is_left_out(project: Project) -> None:
    project.declare(
        "analytics:\n  b: {query: select 1 as x from shop.analytics.found}\n"
        "  c: {query: select x from analytics.b}\n  d: {query: select 1 as x}\n",
        name="other",
    )
    found = problems(project, analytics("select email from staging.people"))
    assert "tells of a person" in found[1]
    assert "analytics/shop/found, which it reads, has errors: it is left out" in found[0]
    built = project.build()
    assert [str(key) for key in built.broken["other"]] == [
        "analytics/other/b",
        "analytics/other/c",
    ]
    assert built.plan.get(key_of("analytics/other/d")) is not None


def test_a_mark_in_analytics_is_refused_where_it_stands(project: Project) -> None:
    below = analytics("select city as x from staging.people") + "    columns: {x: {pii: true}}\n"
    [problem] = problems(project, below)
    assert (
        "x is marked `pii: true`, and no data that tells of a person may be in analytics" in problem
    )


def test_a_mark_is_traced_across_pipelines(project: Project) -> None:
    project.declare(
        "analytics:\n  b: {query: select email from shop.staging.people}\n", name="other"
    )
    [problem] = problems(project, "")
    assert "shop.raw.orders.mail -> shop.staging.people.email -> analytics.b.email" in problem


# Functions ------------------------------------------------------------------------------------


CALLED = """
sources:
  orders:
    type: file
    path: o.parquet
    partitions: none
    columns: {mail: {pii: true}, id: {}}
staging:
  people:
    from: raw.orders
    transformations:
STEPS
      - python: {function: 'own:score'}
    columns:
      score: {type: double}
      id: {type: bigint PII}
"""


def called(project: Project, steps: str = "", pii: str = "") -> list[str]:
    """What is wrong where analytics reads what a function of staging gave."""
    own = project.pipelines / "shop" / "own.py"
    own.parent.mkdir(exist_ok=True)
    own.write_text("def score(frame):\n    return frame\n")
    body = CALLED.replace("STEPS", steps).replace(" PII", pii)
    return problems(project, analytics("select id from staging.people"), body)


def test_what_a_function_gives_carries_what_it_read(project: Project) -> None:
    [problem] = called(project)
    assert "raw.orders.mail -> staging.people.id -> analytics.found.id" in problem


@pytest.mark.parametrize(
    "steps",
    ["      - mask: {mail: hash}", "      - drop_columns: [mail]", "      - select_columns: [id]"],
)
def test_a_function_carries_nothing_that_it_does_not_get(project: Project, steps: str) -> None:
    assert called(project, steps) == []


def test_an_author_may_say_of_a_function_that_a_column_tells_of_nobody(project: Project) -> None:
    assert called(project, pii=", pii: false") == []
    assert hidden(project, "id score")["staging/people"] == "score"


def test_of_sql_nobody_can_say_so_and_a_warning_tells(project: Project) -> None:
    project.platform(KEYED)
    project.declare(
        CALLED.replace("      - python: {function: 'own:score'}\n", "")
        .replace("STEPS", "      - add_columns: {score: length(mail)}")
        .replace(" PII", "")
        .replace("score: {type: double}", "score: {pii: false}\n      mail: {}")
        + analytics("select score from staging.people")
    )
    found = [problem for problem in project.problems() if "written out" not in problem]
    assert len(found) == 2
    assert found[0].startswith("shop/pipeline.yaml:17:7: warning: `pii: false` doesn't clear score")
    assert "raw.orders.mail -> staging.people.score -> analytics.found.score" in found[1]


# What is hidden -------------------------------------------------------------------------------


def test_nothing_is_masked_where_nothing_is_marked(project: Project) -> None:
    project.declare(
        PEOPLE.replace(", pii: true", "") + analytics("select email from staging.people")
    )
    plan = project.build().plan
    assert {node.masking for node in plan.nodes if isinstance(node, LakeNode)} == {NO_MASKING}
    assert not any(node.discreet for node in plan.nodes)


def test_marked_columns_are_hidden_and_what_goes_into_them(project: Project) -> None:
    assert problems(project, analytics("select id, city from staging.people")) == []
    assert hidden(project, "id mail MAIL email domain known city further") == {
        "raw/orders": "mail MAIL",
        "staging/people": "email domain",
        "analytics/found": "",
    }


def test_a_token_may_be_shown_and_what_was_masked_may_not(project: Project) -> None:
    body = PEOPLE.replace(
        "    columns:", "      - mask: {email: hash, domain: redact}\n    columns:"
    )
    assert problems(project, analytics("select email from staging.people"), body) == []
    assert hidden(project, "mail email domain") == {
        "raw/orders": "mail",
        "staging/people": "",
        "analytics/found": "",
    }
    body = body.replace(", pii: true", "")
    assert problems(project, "", body) == []
    assert hidden(project, "mail city")["raw/orders"] == "mail"


def test_a_source_of_which_a_function_makes_something_personal_shows_nothing(
    project: Project,
) -> None:
    own = project.pipelines / "shop" / "own.py"
    own.parent.mkdir(exist_ok=True)
    own.write_text("def score(frame):\n    return frame\n")
    body = "staging:\n  people:\n    from: raw.orders\n    transformations:\n"
    body += "      - python: {function: 'own:score'}\n    columns: {who: {pii: true}, n: {}}\n"
    assert problems(project, "", body) == []
    assert hidden(project, "who n other") == {"raw/orders": "who n other", "staging/people": "who"}


def test_assets_that_see_personal_data_are_discreet_and_others_are_not(project: Project) -> None:
    assert (
        problems(
            project,
            "  masked:\n    from: staging.people\n    transformations:\n"
            "      - mask: {email: hash, domain: redact}\n"
            + analytics("select email from staging.masked"),
        )
        == []
    )
    found = {
        f"{node.key.layer}/{node.key.name}": node.discreet for node in project.build().plan.nodes
    }
    assert found == {
        "raw/orders": True,
        "staging/people": True,
        "staging/masked": True,
        "analytics/found": False,
    }


# Quarantine -----------------------------------------------------------------------------------


def held(project: Project, steps: str, columns: str = "") -> dict[str, str]:
    """Which columns of the source quarantine keeps masked."""
    body = f"""
sources:
  orders:
    type: file
    path: o.parquet
    partitions: none
    columns: {{mail: {{pii: true}}, phone: {{pii: true}}, id: {{}}}}
staging:
  people:
    from: raw.orders
    transformations:
{steps}
    quality:
      - not_null: [id]
    on_violation: quarantine
"""
    assert problems(project, columns, body) == []
    node = project.build().plan[key_of("staging/people")]
    assert isinstance(node, StagingNode)
    return dict(node.held_masked)


def test_quarantine_masks_what_the_asset_masks_through_renames_and_origins(
    project: Project,
) -> None:
    steps = (
        "      - rename_columns: {mail: email}\n"
        "      - add_columns: {who: 'concat(name, surname)'}\n"
        "      - mask: {email: hash, who: partial}"
    )
    assert held(project, steps) == {"mail": "hash", "name": "partial", "surname": "partial"}


def test_of_two_masks_the_stronger_one_counts(project: Project) -> None:
    steps = (
        "      - add_columns: {tail: 'right(mail, 3)', first: 'left(mail, 1)'}\n"
        "      - mask: {mail: partial, tail: hash}\n      - mask: {first: redact}"
    )
    assert held(project, steps) == {"mail": "redact"}


def test_quarantine_redacts_what_is_personal_and_does_not_leave_as_it_is(project: Project) -> None:
    domain = "      - add_columns: {domain: 'split_part(mail, chr(64), 2)'}\n"
    assert held(project, f"{domain}      - drop_columns: [mail]") == {"mail": "redact"}
    assert held(project, "      - rename_columns: {mail: email, phone: number}") == {}


# Reconciliation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "detail"),
    [
        ("expression: max(email)", "••• here, ••• in raw/shop/shops"),
        ("expression: max(city)", "Rome here, Bari in raw/shop/shops"),
        ("expression: count(*)", "1 here, 2 in raw/shop/shops"),
        (
            "expression: max(length(email)), with_expression: count(*)",
            "••• here, ••• in raw/shop/shops",
        ),
    ],
)
def test_a_reconciliation_tells_no_value_of_a_person(
    project: Project, rule: str, detail: str
) -> None:
    project.declare(
        "sources:\n"
        "  orders: {type: file, path: orders.parquet, partitions: none}\n"
        "  shops: {type: file, path: shops.parquet, partitions: none}\n"
        "staging:\n  people:\n    from: raw.orders\n    columns:\n"
        "      email: {type: varchar, pii: true}\n      city: {type: varchar}\n"
        f"    quality:\n      - reconcile: {{with: raw.shops, {rule}}}\n"
    )
    project.land("raw/orders", "SELECT 'me@x.org' AS email, 'Rome' AS city")
    project.land("raw/shops", "SELECT 'you@x.org' AS email, 'Bari' AS city FROM range(2)")
    passage = project.compute("staging/people")
    [finding] = outcome(passage, "reconcile_shops").findings.values()
    assert finding.detail == detail
    assert not passage.publication
