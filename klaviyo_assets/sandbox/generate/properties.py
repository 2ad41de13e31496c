"""Odd properties of events, as shops send them, as JSON text, because it can hold any number."""

_ODDITIES = (
    '"big":123456789012345678901234567890',
    '"order_number":18446744073709551617',
    '"negative_big":-98765432109876543210',
    '"huge":1e400',
    '"precise":0.10000000000000000555',
    '"long_fraction":3.14159265358979323846264338327950288',
    '"minus_zero":-0.0',
    '"exponent":1E+2',
    '"tiny":5e-324',
    '"Size":"L","size":"l","SIZE":null',
    '"nothing":null,"empty":{},"no_items":[],"blank":""',
    '"emoji":"👩‍👩‍👧‍👦 \\ud83c\\udf89 \\u00e9","rtl":"שלום ‏עולם"',
    '"control":"tab\\tnewline\\nnull\\u0000bell\\u0007"',
    '"slash":"a\\/b","quote":"\\"","backslash":"C:\\\\temp"',
    '"deep":{"a":{"b":{"c":{"d":{"e":{"f":[[[[{"g":[1,[2,[3,{}]]]}]]]]}}}}}}',
    '"mixed":42',
    '"mixed":"forty-two"',
    '"mixed":[4,"2",null,{"x":1}]',
    '"mixed":{"value":42}',
    '"mixed":true',
    '"":"empty key"," spaced key ":1,"dotted.key":2,"键":"值","$extra":"not an object"',
    '"html":"<p>it\'s &amp; <\\/p>","line\\u2028separator":"\\u2028"',
    '"date_like":"2026-02-30","number_like":"0012","boolean_like":"True"',
    '"a":1,"A":2,"á":3,"a\\u0301":4',
)

_RARITY = 18
"""One event in this many is odd."""

_HALF = '"cut":"half \\ud83d"'
"""Half of an escaped emoji, as in a text that was truncated in the wrong place."""


def odd_one(number: int, *, halves: bool) -> str | None:
    """Return the odd properties of the event with this number: None for most, each oddity in turn for the others.

    Args:
        number: Index of the event in the batch.
        halves: Whether lone surrogates can occur.
    """
    if halves and number % 50 == 7:
        return _HALF
    return _ODDITIES[number // _RARITY % len(_ODDITIES)] if number % _RARITY == 0 else None


def whole(text: str, number: int, *, halves: bool) -> str:
    """Return the properties of an event as a JSON object, with some odd members if its number says so.

    Args:
        text: Its members as JSON text.
        number: Index of the event in the batch.
        halves: Whether lone surrogates can occur.
    """
    odd = odd_one(number, halves=halves)
    if odd is None:
        return f"{{{text}}}"
    return f"{{{text},{odd}}}" if text else f"{{{odd}}}"
