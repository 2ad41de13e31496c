"""Event properties like those that shops send, including odd ones. Generated as JSON text, because it can hold any number."""

import random
from collections.abc import Callable

from klaviyo_assets.sandbox.generate.words import PRODUCTS, SUBJECTS, VARIANTS
from klaviyo_assets.sandbox.records import encode

_PRODUCTS = [encode(name).decode() for name in PRODUCTS]
_SUBJECTS = [encode(text).decode() for text in SUBJECTS]
_VARIANTS = [encode(name).decode() for name in VARIANTS]

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


def _item(rng: random.Random) -> str:
    number = rng.randrange(16)
    price = rng.randrange(100, 20_000)
    # The same key as an integer, a float and a string, as shops send it.
    written = (f"{price // 100}", f"{price / 100:.2f}", f'"{price / 100:.2f}"')[price % 3]
    return (
        f'{{"ProductID":"{1000 + number}","SKU":{90000 + number},"ProductName":{_PRODUCTS[number]},"Quantity":{1 + price % 4},'
        f'"ItemPrice":{written},"Variant":{_VARIANTS[price % 8]},"Categories":["c{number % 5}","all"]}}'
    )


def _order(rng: random.Random) -> str:
    count = 1 + int(rng.random() * 3)
    value = rng.randrange(500, 90_000)
    amount = f"{value // 100}" if value % 5 == 0 else f"{value / 100:.2f}"
    order = rng.getrandbits(40)
    items = ",".join(_item(rng) for _ in range(count))
    return (
        f'"$event_id":"{order}","$value":{amount},"$currency_code":"{"EUR" if value % 2 else "USD"}","Items":[{items}],"ItemCount":{count},'
        f'"$extra":{{"id":{order},"note":null,"gateway":"card","tags":[],"shipping":{{"method":"post","cost":{value % 900 / 100}}}}}'
    )


def _message(rng: random.Random) -> str:
    number = rng.getrandbits(24)
    flow = f'"$flow":"F{number % 40:05d}",' if number % 3 == 0 else ""
    return (
        f'"Campaign Name":"Campaign {number % 200}","$message":"01{number:024d}",{flow}"Subject":{_SUBJECTS[number % 10]},'
        f'"Client OS":"{("iOS", "Android", "Windows")[number % 3]}","machine_open":{"true" if number % 7 == 0 else "false"},'
        f'"$_cohort$message_send_cohort":"{number}:01"'
    )


def _view(rng: random.Random) -> str:
    number = rng.getrandbits(20)
    return (
        f'"$event_id":"v{number}","$value":{number % 300},"ProductName":{_PRODUCTS[number % 16]},"URL":"https://shop.example/p/{number % 16}",'
        f'"page":"/p/{number % 16}","Price":{number % 20_000 / 100},"$is_session_activity":true,"$use_ip":null'
    )


def _custom(rng: random.Random) -> str:
    number = rng.getrandbits(20)
    return f'"step":{number % 9},"score":{rng.random()},"label":{_VARIANTS[number % 8]},"flags":[{number % 2},{number % 3}],"meta":{{"v":{number}}}'


_TEMPLATES: dict[int, Callable[[random.Random], str]] = {0: _message, 1: _order, 2: _view, 3: _custom}


def odd_one(number: int, *, halves: bool) -> str | None:
    """Return the odd properties of the event with this number: None for most, each oddity in turn for the others.

    Args:
        number: Index of the event in the batch.
        halves: Whether lone surrogates can occur.
    """
    if halves and number % 50 == 7:
        return _HALF
    return _ODDITIES[number // _RARITY % len(_ODDITIES)] if number % _RARITY == 0 else None


def properties(rng: random.Random, template: int, odd: str | None = None) -> str:
    """Return the properties of an event as JSON.

    Args:
        rng: Source of random numbers.
        template: Kind of event: 0 message, 1 order, 2 site, 3 custom.
        odd: Members to add, as JSON text.
    """
    if odd is None and rng.random() < 0.005:
        return "{}"
    text = _TEMPLATES[template](rng)
    return "{" + text + "}" if odd is None else "{" + text + "," + odd + "}"
