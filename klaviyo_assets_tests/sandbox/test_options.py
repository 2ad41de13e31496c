import argparse
from datetime import UTC, datetime, timedelta, timezone

import pytest

from klaviyo_assets.sandbox.command import add_arguments, options_from, run
from klaviyo_assets.sandbox.options import SandboxOptions


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_every_option_survives_the_command_line():
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    options = SandboxOptions(
        seed=7, events=1, profiles=2, campaigns=3, flows=4, lists=5, segments=6, metrics=7, reviews=8, history_days=9, lone_surrogates=True,
        base=noon, clock=noon + timedelta(days=2), change_at=(noon, noon + timedelta(microseconds=1)), limits=False, latency=0.25,
        invalid_key_status=400, includes_need_scope=True, archived_by_default=True, all_reviews_by_default=True, strict_includes_bound=True,
        ignore_profiles_upper_bound=True, archiving_moves_updated=False, attributions_without_include=True, events_move_updated=True,
    )  # fmt: skip
    assert options_from(parsed(*options.arguments())) == options
    assert options_from(parsed()) == SandboxOptions()


def test_instants_can_have_any_offset_or_none():
    args = parsed("--base=2026-07-01T12:00:00", "--clock=2026-07-01T14:00:00+02:00")
    assert options_from(args).base == options_from(args).clock == datetime(2026, 7, 1, 14, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize("wrong", [["--invalid-key-status=418"], ["--profiles=0"]])
def test_invalid_options_are_rejected(wrong, capsys):
    assert run(parsed(*wrong)) == 2
    assert capsys.readouterr().err.startswith("error: ")
