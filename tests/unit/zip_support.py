"""Zips made for a test, and what an error must be: one line."""

import io
import zipfile


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, zip64: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as z:
        for name, body in members.items():
            with z.open(name, "w", force_zip64=zip64) as file:
                file.write(body)
    return buffer.getvalue()


def line_of(error: Exception) -> str:
    text = str(error)
    assert "\n" not in text and text
    return text
