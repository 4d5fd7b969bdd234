"""Where a file says that it comes from: content credentials (C2PA), EXIF, and what its encoder left behind.

Read offline: a manifest that lies elsewhere is reported as remote and never fetched. Every field is its maker's own
claim, and absence of all of them says nothing: platforms strip metadata from almost every upload.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

from folkmoot.perception.medium import complaint
from folkmoot.records import MissingExtra, Observation, Outcome

AI_SOURCES = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia")
"""IPTC's digital source types of media that a model made, in whole or in part."""
UNTRUSTED = "signingCredential.untrusted"
EXIF_FIELDS = {271: "make", 272: "model", 305: "software", 306: "changed", 315: "artist"}
EXIF_DETAIL_FIELDS = {36867: "taken", 36868: "digitised"}
GENERATOR_CHUNKS = ("parameters", "prompt", "workflow", "Dream", "sd-metadata", "invokeai_metadata")
"""The PNG text chunks in which image generators keep their settings (AUTOMATIC1111, ComfyUI, InvokeAI)."""
UNREADABLE = {
    "Assertion": "one of its statements is broken",
    "AssertionNotFound": "one of its statements is missing",
    "Decoding": "it is wrongly encoded",
    "Io": "the file breaks off or is damaged",
    "Json": "it is no valid JSON",
    "Manifest": "the manifest is broken",
    "ResourceNotFound": "a part that it refers to is missing",
    "Signature": "its signature is broken",
    "Verify": "it cannot be verified",
}
"""What c2pa's kinds of errors mean."""
FOREIGN = "the file is damaged, or they are of a kind that is not known here"
"""Of other errors, c2pa's library says only that it failed."""
XMP_BYTES = 1 << 20
"""How much of a file is searched for a digital source type (chosen: XMP stands near the start)."""


def content_credentials(path: Path, kind: str) -> Observation:
    """One observation: the C2PA manifest as `detail.state` valid, invalid, remote, absent or unreadable.

    `detail.trusted` says whether the signer is on a trust list; none is shipped, so a sound signature of an unknown
    signer is valid and not trusted. `detail.ai_generated` says whether the manifest claims so.

    Raises:
        MissingExtra: c2pa-python is not installed.
    """
    try:
        import c2pa
    except ImportError:
        raise MissingExtra("Reading content credentials", "media") from None
    tool = f"c2pa-python {importlib.metadata.version('c2pa-python')}"

    def found(text: str, outcome: Outcome = Outcome.LABELLED, **detail: Any) -> Observation:
        return Observation(
            kind="provenance", text=text, tool=tool, outcome=outcome, detail={"source": "c2pa", **detail}
        )

    settings = c2pa.Settings.from_dict({"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}})
    try:
        with path.open("rb") as file:
            reader = c2pa.Reader(kind, file, context=c2pa.Context(settings=settings))
            report = json.loads(reader.json())
    except c2pa.C2paError as error:
        words = str(error)
        if words.startswith("ManifestNotFound"):
            return found("No content credentials; that says nothing about the file.", state="absent")
        if words.startswith("Remote"):
            address = re.search(r"https?://\S+", words)
            return found(
                "Content credentials are kept elsewhere; they were not fetched.",
                state="remote", address=address.group() if address else None,
            )  # fmt: skip
        if words.startswith("NotSupported"):
            return found("Files of this type carry no content credentials that can be read.", state="absent")
        return found(
            f"Content credentials cannot be read: {UNREADABLE.get(words.split(':')[0], FOREIGN)}.",
            Outcome.CALL_FAILED,
            state="unreadable",
        )
    except (OSError, ValueError) as error:
        return found(
            f"Content credentials cannot be read: {complaint(error)}.", Outcome.CALL_FAILED, state="unreadable"
        )
    return found(**described(report))


def described(report: dict[str, Any]) -> dict[str, Any]:
    """A manifest store's report as a sentence (`text`) and the fields that matter."""
    manifest = report.get("manifests", {}).get(report.get("active_manifest"), {})
    codes = [status.get("code") for status in report.get("validation_status") or []]
    failures = [code for code in codes if code != UNTRUSTED]
    state = "invalid" if report.get("validation_state") == "Invalid" or failures else "valid"
    signature = manifest.get("signature_info") or {}
    makers = [info.get("name") for info in manifest.get("claim_generator_info") or [] if info.get("name")]
    maker = makers[0] if makers else (manifest.get("claim_generator") or "").split(" ")[0]
    actions = [
        action
        for assertion in manifest.get("assertions") or []
        if assertion.get("label", "").startswith("c2pa.actions")
        for action in (assertion.get("data") or {}).get("actions") or []
    ]
    sources = {str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1] for action in actions} - {""}
    says_ai = bool(sources & set(AI_SOURCES))
    names = list(dict.fromkeys(str(action.get("action", "")).removeprefix("c2pa.") for action in actions))
    signer = signature.get("issuer") or "an unnamed signer"
    if state == "valid":
        trust = "who is not on a trust list" if UNTRUSTED in codes else "who is trusted"
        text = f"Content credentials are valid, signed by {signer}, {trust}."
    else:
        text = f"Content credentials are INVALID ({', '.join(failures) or 'no reason given'}); they prove nothing."
    if maker:
        text += f" Made with {maker}."
    if says_ai:
        text += " They say that a model made the picture, in whole or in part."
    if names:
        text += f" Actions: {', '.join(names[:8])}."
    return {
        "text": text, "state": state, "trusted": state == "valid" and UNTRUSTED not in codes, "signer": signer,
        "signed": signature.get("time"), "maker": maker or None, "ai_generated": says_ai, "actions": names,
        "codes": codes,
    }  # fmt: skip


def picture_metadata(path: Path) -> list[Observation]:
    """EXIF, the digital source type of XMP, and a generator's settings in PNG text, as far as they are there."""
    from PIL import Image

    tool = f"pillow {importlib.metadata.version('pillow')}"
    found: list[Observation] = []
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # nothing is decoded here
    try:
        with Image.open(path, formats=("PNG", "JPEG", "GIF", "WEBP", "BMP")) as picture:
            exif = picture.getexif()
            fields = {name: words(exif.get(tag)) for tag, name in EXIF_FIELDS.items() if exif.get(tag)}
            detail = exif.get_ifd(0x8769)
            fields |= {name: words(detail.get(tag)) for tag, name in EXIF_DETAIL_FIELDS.items() if detail.get(tag)}
            located = bool(exif.get_ifd(0x8825))
            chunks = [name for name in GENERATOR_CHUNKS if isinstance(picture.info.get(name), str)]
    except Exception as error:  # Pillow's plugins raise whatever a broken file makes them raise
        return [
            Observation(kind="provenance", text=f"Metadata cannot be read: {complaint(error)}.", tool=tool,
                        outcome=Outcome.CALL_FAILED, detail={"source": "exif"})
        ]  # fmt: skip
    finally:
        Image.MAX_IMAGE_PIXELS = before
    if fields or located:
        said = ", ".join(f"{name} {value}" for name, value in fields.items())
        where = "; it holds a place, which is not written out" if located else ""
        found.append(
            Observation(kind="provenance", text=f"EXIF: {said or 'no name or time'}{where}.", tool=tool,
                        detail={"source": "exif", "located": located, **fields})
        )  # fmt: skip
    if chunks:
        found.append(
            Observation(kind="provenance", tool=tool, detail={"source": "encoder", "chunks": chunks, "ai_generated": True},
                        text=f"The file keeps an image generator's settings ({', '.join(chunks)}).")
        )  # fmt: skip
    with path.open("rb") as file:
        source = re.search(rb"digitalsourcetype/(\w{1,64})", file.read(XMP_BYTES))
    if source and (name := source.group(1).decode()) in AI_SOURCES:
        found.append(
            Observation(kind="provenance", text=f"Its metadata say that a model made it ({name}).", tool=tool,
                        detail={"source": "xmp", "digital_source_type": name, "ai_generated": True})
        )  # fmt: skip
    return found


def words(value: object) -> str:
    """A metadata field as one short printable line."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return re.sub(r"[^\x20-\x7e\xa0-\uffff]+", " ", text).strip()[:80]


def container_metadata(container: Any, *, tool: str) -> Observation:
    """What a clip's container says of itself: length, tracks, the time it was made, the program that wrote it."""
    tracks = []
    for stream in container.streams:
        context = stream.codec_context
        name = context.name if context is not None else "unknown"
        if stream.type == "video":
            rate = float(stream.average_rate) if stream.average_rate else None
            size = f"{context.width}x{context.height}" if context is not None else ""
            tracks.append(f"video {name} {size}" + (f" {rate:.4g} frames/s" if rate else ""))
        elif stream.type == "audio":
            tracks.append(f"audio {name} {stream.rate} Hz")
        else:
            tracks.append(f"{stream.type} {name}")
    said = {key: words(container.metadata[key]) for key in ("creation_time", "encoder", "com.android.version",
            "com.apple.quicktime.make", "com.apple.quicktime.model", "com.apple.quicktime.software")
            if container.metadata.get(key)}  # fmt: skip
    handlers = sorted({words(s.metadata["handler_name"]) for s in container.streams if s.metadata.get("handler_name")})
    seconds = container.duration / 1_000_000 if container.duration else None
    length = f"{seconds:.1f} s" if seconds else "length unknown"
    text = f"{container.format.name.split(',')[0]}, {length}: {'; '.join(tracks) or 'no track'}."
    if said:
        text += " " + ", ".join(f"{key.rsplit('.', 1)[-1]} {value}" for key, value in said.items()) + "."
    return Observation(
        kind="container", text=text, start_seconds=0.0, end_seconds=seconds, tool=tool,
        detail={"duration": seconds, "tracks": tracks, "handlers": handlers, **said},
    )  # fmt: skip
