"""Whether a video file is all there: FFmpeg plays a cut-off one as if it ended at the cut."""

from pathlib import Path

# Size of a packet, and what of it comes before the sync byte.
_TRANSPORT_PACKETS = {188: 0, 192: 4}


def is_cut_off(path: Path) -> bool:
    """Whether an AVI, MP4 or Matroska file is shorter than its outermost chunks state.

    Only their headers are read. An MPEG transport stream is, where it ends within a packet. Other
    containers, and files whose recorder never filled the sizes in, are taken as they are.

    Raises:
        OSError: the file cannot be read.
    """
    end = path.stat().st_size
    with path.open("rb") as file:
        packet = _transport_packet(file.read(2 * max(_TRANSPORT_PACKETS) + 5))
        if packet:
            return end % packet != 0
        offset = 0
        while offset < end:
            file.seek(offset)
            chunk = _chunk(file.read(16).ljust(16, b"\0"))
            if chunk is None:
                return False
            size, is_media = chunk
            # A byte may lack: the padding of a last chunk of odd size.
            if is_media and offset + size > end + 1:
                return True
            offset += size
    return False


def _transport_packet(head: bytes) -> int:
    """Bytes of each packet of an MPEG transport stream that begins with `head`; 0 for no stream.

    Each begins with a sync byte (ISO/IEC 13818-1), where a Blu-ray's have a time of four bytes
    before it.
    """
    for size, before in _TRANSPORT_PACKETS.items():
        if head[before::size][:3] == b"GGG":
            return size
    return 0


def _chunk(head: bytes) -> tuple[int, bool] | None:
    """Size of the chunk that begins with 16 bytes, header included, and whether it holds frames.

    None where it is not known to be a chunk, or does not state its size.
    """
    if head[:4] == b"RIFF":  # AVI; one longer than a GB has several
        size = int.from_bytes(head[4:8], "little")
        return (8 + size + size % 2, True) if size else None
    if head[:4] in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):  # Matroska: EBML header, segment
        digits = 9 - head[4].bit_length()
        size = int.from_bytes(head[4 : 4 + digits], "big") & ((1 << 7 * digits) - 1)
        unknown = size == (1 << 7 * digits) - 1
        return None if unknown or digits > 8 else (4 + digits + size, head[0] == 0x18)
    if head[4:8].isalpha():  # MP4 (ISO/IEC 14496-12): size, then a four-letter type
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        return (size, head[4:8] == b"mdat") if size >= 8 else None
    return None
