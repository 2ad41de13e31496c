"""Reads the ``.env`` file of the working folder, as Dagster does, and explains why a file cannot be read."""

import codecs
import io
from pathlib import Path

from dotenv import load_dotenv

from klaviyo_assets.settings.options import InvalidSetting

_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    codecs.BOM_UTF8: "UTF-8 with a byte order mark (BOM)",
}
"""Encodings by byte order mark; UTF-32 first, since its mark begins with that of UTF-16."""

_ADVICE = "Save it as UTF-8 without a byte order mark (BOM)."


def load_env_file() -> None:
    """Set the variables of the working folder's ``.env`` file, if there is one; as in Dagster, they override the environment.

    Raises:
        InvalidSetting: If the file cannot be read; the message shows none of its content, which includes the key.
    """
    path = Path(".env")
    try:
        path = Path.cwd() / path
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidSetting(f"The file {path} cannot be read ({error.strerror}). Make it a file that this user may read, or remove it.") from None
    load_dotenv(stream=io.StringIO(_text(path, data)), override=True)


def _text(path: Path, data: bytes) -> str:
    encoding = next((name for mark, name in _OTHER_ENCODINGS.items() if data.startswith(mark)), None)
    if encoding is not None:
        raise InvalidSetting(f"The file {path} is {encoding}, which Dagster cannot read. {_ADVICE}")
    if (place := data.find(0)) >= 0:
        raise InvalidSetting(f"The file {path} has a zero byte in line {_line(data, place)}: it is UTF-16, or not text. {_ADVICE}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidSetting(f"The file {path} is not UTF-8 (line {_line(data, error.start)}). {_ADVICE}") from None


def _line(data: bytes, place: int) -> int:
    return data.count(b"\n", 0, place) + 1
