"""Properties of the shop's events as JSON text, with the names that Klaviyo and the shop integrations use.

Text, because it can hold any number, and because a hundred thousand events must be made in seconds. Amounts are in hundredths.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from klaviyo_assets.sandbox.generate.shop.inventory import Article, Message
from klaviyo_assets.sandbox.instants import SECOND
from klaviyo_assets.sandbox.records import encode

SITE = "https://shop.example"

_CLIENTS = (
    '"Client Type":"mobile","Client OS":"iOS","Client OS Family":"iOS","Client Name":"Mobile Safari"',
    '"Client Type":"mobile","Client OS":"Android","Client OS Family":"Android","Client Name":"Gmail"',
    '"Client Type":"desktop","Client OS":"Windows 11","Client OS Family":"Windows","Client Name":"Outlook"',
)
_BOUNCES = (
    '"Bounce Type":"Hard","Bounce Reason":"550 5.1.1 user unknown"',
    '"Bounce Type":"Soft","Bounce Reason":"452 4.2.2 mailbox full"',
    '"Bounce Type":"Soft","Bounce Reason":"421 try again later"',
)
_SEARCHES = tuple(encode(text).decode() for text in ("mug", "Wollmütze", "手袋", "gift card", "size 38½"))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order: a product in one of its variants, how many, and the price of one in hundredths."""

    product: Article
    variant: str
    quantity: int
    cents: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order.

    Attributes:
        number: The shop's number of it.
        currency: ISO code of its currency.
        lines: What was bought.
        discount: Discount in hundredths.
        codes: Discount codes as JSON text, with commas between them.
    """

    number: int
    currency: str
    lines: Sequence[Line]
    discount: int
    codes: str

    @property
    def cents(self) -> int:
        """What it costs, in hundredths."""
        return sum(line.quantity * line.cents for line in self.lines) - self.discount


def money(cents: int) -> str:
    """Return an amount as JSON: whole ones as an integer, as shops send them."""
    return f"{cents // 100}" if cents % 100 == 0 else f"{cents / 100:.2f}"


def message_head(message: Message, sent_at: int, arm: str | None, inbox: str) -> str:
    """Return what the events of one message to one person have in common.

    Args:
        message: The message.
        sent_at: When it was sent to the person.
        arm: Id of the variation that the person got.
        inbox: The person's mail provider as JSON text; empty for other channels than email.
    """
    variation = f'"$variation":"{arm}",' if arm is not None else ""
    return f'{variation}{message.head}{inbox},"$_cohort$message_send_cohort":"{sent_at // SECOND}:{message.id}"'


def opened(rng: random.Random, *, machine: bool) -> str:
    """Return what an open adds; of a machine, such as Apple's mail privacy protection, or of a person."""
    return f',"machine_open":{"true" if machine else "false"},{_CLIENTS[0 if machine else rng.randrange(3)]}'


def clicked(rng: random.Random, product: Article) -> str:
    """Return what a click adds."""
    return f',"URL":"{SITE}/p/{rng.randrange(1, 400)}?utm_source=Klaviyo","Link":{encode(product.title).decode()},{_CLIENTS[rng.randrange(3)]}'


def bounced(rng: random.Random, *, hard: bool) -> str:
    """Return what a bounce adds."""
    return f",{_BOUNCES[0 if hard else rng.randrange(1, 3)]}"


def sms_cost() -> str:
    """Return what a delivered text message adds."""
    return ',"Message Segments":1,"Credits Used":1'


def visit(rng: random.Random) -> str:
    """Return the properties of a visit."""
    number = rng.getrandbits(20)
    return (
        f'"$event_id":"v{number}","page":"/c/{number % 9}","$is_session_activity":true,"$use_ip":null,"browser":"{("Safari", "Chrome")[number % 2]}"'
    )


def viewed(rng: random.Random, line: Line, currency: str) -> str:
    """Return the properties of a product view or of one put into the cart."""
    number, value = rng.getrandbits(30), money(line.cents)
    return (
        f'"$event_id":"w{number}",{line.product.head}{line.variant}"$value":{value},"$currency_code":"{currency}","Price":{value},"Quantity":{line.quantity},'
        f'"URL":"{SITE}/p/{number % 400}","ImageURL":"{SITE}/i/{number % 400}.jpg","$is_session_activity":true'
    )


def searched(rng: random.Random) -> str:
    """Return the properties of a search."""
    number = rng.getrandbits(24)
    return f'"$event_id":"s{number}","Search Term":{_SEARCHES[number % 5]},"Results":{number % 40}'


def order_text(rng: random.Random, order: Order, *, currency_key: str = "$currency_code") -> str:
    """Return the properties of an order, a checkout or a refund.

    Args:
        rng: Source of random numbers.
        order: The order.
        currency_key: Property with the currency: integrations of shops and the API use different ones.
    """
    cents, count = order.cents, sum(line.quantity for line in order.lines)
    items = ",".join(_item(line) for line in order.lines)
    return (
        f'"$event_id":"{order.number}","OrderId":"{order.number}","$value":{money(cents)},"{currency_key}":"{order.currency}","Items":[{items}],'
        f'"Item Count":{count},"ItemCount":{len(order.lines)},"Discount Codes":[{order.codes}],"Total Discounts":"{order.discount / 100:.2f}",'
        f'"Source Name":"{("web", "web", "pos")[order.number % 3]}","$extra":{{"id":{order.number},"note":null,"gateway":"card","tags":[],'
        f'"shipping":{{"method":"post","cost":{rng.randrange(900) / 100}}}}}'
    )


def ordered_text(order: Order, number: int) -> str:
    """Return the properties of one line of an order, as the event of its own that shops send for each."""
    line = order.lines[number]
    return (
        f'"$event_id":"{order.number}:{number}","OrderId":"{order.number}",{line.product.head}{line.variant}"Quantity":{line.quantity},'
        f'"$value":{money(line.quantity * line.cents)},"$currency_code":"{order.currency}","ItemPrice":{money(line.cents)}'
    )


def _item(line: Line) -> str:
    # The same key as an integer, a float and a string, as shops send it.
    written = (f"{line.cents // 100}" if line.cents % 100 == 0 else money(line.cents), f"{line.cents / 100:.2f}", f'"{line.cents / 100:.2f}"')[
        line.cents % 3
    ]
    return f'{{{line.product.head}{line.variant}"Quantity":{line.quantity},"ItemPrice":{written},"RowTotal":{money(line.quantity * line.cents)}}}'


def attribution_text(event_id: str, message: Message, arm: str | None, sent_at: int) -> str:
    """Return the property with the message that an order is attributed to."""
    flow = f'"$flow":"{message.flow_id}",' if message.flow_id is not None else ""
    variation = f'"$variation":"{arm}",' if arm is not None else ""
    return (
        f',"$attribution":{{"$attributed_event_id":"{event_id}","$message":"{message.id}",{flow}{variation}'
        f'"$channel":"{message.channel}","$send_ts":{sent_at // SECOND}}}'
    )


def consent_text(method: str, detail: str, channel: str) -> str:
    """Return the properties of a consent."""
    return f'"method":"{method}","method_detail":"{detail}","channel":"{channel}","$consent":["{channel}"]'


def list_text(name: str, method: str) -> str:
    """Return the properties of an event of a list; Klaviyo names the list."""
    return f'"List":{encode(name).decode()},"method":"{method}"'


def form_text(id: str, name: str) -> str:
    """Return the properties of a submitted form."""
    return f'"form_id":"{id}","form_name":{encode(name).decode()},"form_type":"POPUP","page_url":"{SITE}/"'


def custom_text(rng: random.Random) -> str:
    """Return the properties of an event that the shop made up itself."""
    number = rng.getrandbits(20)
    label = ("S", "38½", "nero")[number % 3]
    return f'"step":{number % 9},"score":{rng.random()},"label":"{label}","flags":[{number % 2},{number % 3}],"meta":{{"v":{number}}}'


def code_text(code: str) -> str:
    """Return a discount code as JSON."""
    return encode(code).decode()


def review_text(rng: random.Random, line: Line) -> str:
    """Return the properties of a submitted review."""
    return f'{line.product.head}{line.variant}"rating":{1 + int(5 * rng.random() ** 0.5)},"review_id":"{rng.getrandbits(40)}"'
