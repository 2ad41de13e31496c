"""The tables that the command prints."""

from klaviyo_assets.cli.output import table


def test_columns_are_as_wide_as_their_longest_text_and_no_line_ends_with_a_space() -> None:
    rows = [("klaviyo/lists", "1,234", ""), ("klaviyo/campaigns", "5", "Do this.  Or that.")]

    assert table(("ASSET", "ROWS", "WHAT TO DO"), rows, numbers=range(1, 2)) == (
        "ASSET               ROWS  WHAT TO DO\nklaviyo/lists      1,234\nklaviyo/campaigns      5  Do this.  Or that."
    )


def test_texts_that_look_like_numbers_stay_unchanged() -> None:
    assert table(("ID",), [("007",), ("1e5",), ("0x1F",)]) == "ID\n007\n1e5\n0x1F"
