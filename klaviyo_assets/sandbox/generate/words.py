"""Words for the made-up account, in several scripts on purpose."""

FIRST_NAMES = (
    "Ada", "Björn", "Chloé", "Dmitri", "Éloïse", "Fatima", "Gökçe", "Håkon", "Ines", "José", "Kwame", "Łucja", "Małgorzata", "Nguyễn", "Olga",
    "Priya", "Quentin", "Renée", "Søren", "Tamás", "Uma", "Věra", "Wei", "Xiomara", "Yusuf", "Zoë", "Анна", "محمد", "יעל", "美咲", "지우", "王芳",
)  # fmt: skip
LAST_NAMES = (
    "Andersson", "Brown", "Çelik", "D'Angelo", "Eriksen", "Fernández", "García", "Horváth", "Ivanov", "Jones", "Kowalski", "Lindqvist", "Müller",
    "Novák", "O'Brien", "Pérez", "Quispe", "Rossi", "Silva", "Tanaka", "Ünal", "van der Berg", "Wójcik", "Yılmaz", "Žukauskas", "陳", "김",
)  # fmt: skip
CITIES = (
    ("Berlin", "Germany", "Berlin", "Europe/Berlin", 52.52, 13.405),
    ("Boston", "United States", "Massachusetts", "America/New_York", 42.3601, -71.0589),
    ("İstanbul", "Turkey", "İstanbul", "Europe/Istanbul", 41.0082, 28.9784),
    ("København", "Denmark", "Hovedstaden", "Europe/Copenhagen", 55.6761, 12.5683),
    ("London", "United Kingdom", "England", "Europe/London", 51.5074, -0.1278),
    ("Łódź", "Poland", "łódzkie", "Europe/Warsaw", 51.7592, 19.456),
    ("São Paulo", "Brazil", "SP", "America/Sao_Paulo", -23.5505, -46.6333),
    ("Sydney", "Australia", "New South Wales", "Australia/Sydney", -33.8688, 151.2093),
    ("東京", "Japan", "東京都", "Asia/Tokyo", 35.6762, 139.6503),
    ("تهران", "Iran", "تهران", "Asia/Tehran", 35.6892, 51.389),
)
LOCALES = ("en-US", "en-GB", "de-DE", "fr-FR", "pt-BR", "tr-TR", "ja-JP", "pl-PL", "da-DK", None)
PRODUCTS = (
    "Linen shirt", "Wollmütze", "Café filter “No. 4”", "Ceramic mug 350 ml", "Blåbærsyltetøy", "Rain jacket / kids", "USB-C cable 2 m", "Notebook A5",
    "Olive oil, 1 l", "Socks (3 pairs)", "手袋", "Tea 🍵 sampler", "Kerze – Vanille", "Backpack 24 L", "قهوة عربية", "Bottle 0,75 l",
)  # fmt: skip
VARIANTS = ("S", "M", "L", "XL", "38½", "één maat", "rot", "nero")
SUBJECTS = (
    "Your order is on its way", "Neu im Sortiment", "Last chance: −20 %", "🎉 Happy birthday, {{ first_name }}!", "Tu panier t'attend",
    "She said \"yes\"", "Zwei Zeilen\nin einem Betreff", "سلام", "今週のおすすめ", "Back in stock\tfinally",
)  # fmt: skip
CAMPAIGN_WORDS = (
    "Spring sale",
    "Newsletter",
    "Win-back",
    "Black Friday",
    "Product launch",
    "Sommerschluss",
    "VIP preview",
    "Jubilé",
    "お知らせ",
    "Flash ⚡",
)
FLOW_WORDS = (
    "Welcome series",
    "Abandoned cart",
    "Browse abandonment",
    "Post-purchase",
    "Birthday",
    "Back in stock",
    "Price drop",
    "Win-back",
    "Sunset",
)
AUDIENCE_WORDS = (
    "Newsletter",
    "VIP",
    "Lapsed",
    "SMS subscribers",
    "Wholesale",
    "Beta testers",
    "Engaged (90 days)",
    "Käufer DE",
    "東京のお客様",
    "Churn risk",
)
REVIEW_TEXTS = (
    "Great quality, would buy again.", "Passt leider nicht – zurückgeschickt.", "Does it come in blue?", "C'est magnifique 😍", "ok", "مُمتاز جداً",
    "Arrived broken :(\nSupport was quick, though.", "思ったより小さい", "\"Perfect\" is the word.", "5/5 \\o/",
)  # fmt: skip
ITEM_PREFIX = "$shopify:::$default:::"
