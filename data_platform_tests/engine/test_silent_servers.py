"""Connections to PostgreSQL notice within minutes that the other side is gone."""

import pytest

from data_platform.engine.postgres import connected, watched

SET = "postgresql://db/shop?keepalives_idle=5&tcp_user_timeout=0"
SAID = "keepalives_idle=60 keepalives_interval=10 keepalives_count=6 tcp_user_timeout=120000"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgresql://me@db/shop", f"postgresql://me@db/shop?{SAID.replace(' ', '&')}"),
        (
            "postgres://me:p%3F@db/shop?sslmode=require",
            f"postgres://me:p%3F@db/shop?sslmode=require&{SAID.replace(' ', '&')}",
        ),
        ("host=db dbname=shop", f"host=db dbname=shop {SAID}"),
        (
            SET,
            f"{SET}&keepalives_interval=10&keepalives_count=6",
        ),
        (f"host=db {SAID}", f"host=db {SAID}"),
    ],
)
def test_what_a_url_does_not_say_is_added(url: str, wanted: str) -> None:
    assert watched(url) == wanted


def test_the_driver_takes_it(postgres_url: str) -> None:
    with connected(postgres_url, autocommit=True) as (_, cursor):
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
