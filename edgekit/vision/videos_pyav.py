"""Video files through PyAV (FFmpeg): what they say of themselves is obeyed, damage is an error."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SourceError
from edgekit.vision import optional
from edgekit.vision.notes import Notes
from edgekit.vision.orientation import of_display_matrix, square, upright
from edgekit.vision.video_file import DamageError, address, checked_aspect, not_a_video

# An error where FFmpeg would guess what is missing (libavcodec, `err_detect`).
_STRICT = {"err_detect": "crccheck+explode"}
# Matrices from YCbCr to RGB that FFmpeg converts (ITU-T H.273, table 4): RGB itself, BT.709,
# unspecified, FCC, BT.601 twice, SMPTE 240M, BT.2020 with a constant matrix.
_MATRICES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
_UNSPECIFIED = 2
# Transfer characteristics of high dynamic range (H.273, table 3).
_HDR = {16: "PQ", 18: "HLG"}
# Seconds that sound may go on after the last frame.
_SOUND = 0.25
# A demuxer tells of a loss up to so many packets early.
_NEXT = 2
# More rows than standard definition has: such videos are BT.709 as a rule.
_HIGH_DEFINITION = 720


class PyAVVideo:
    """A `VideoFile`.

    Args:
        path: the file.
        notes: told what was left out, guessed or not used.

    Raises:
        SourceError: it is no video.
    """

    def __init__(self, path: Path, notes: Notes) -> None:
        self._path, self._notes = path, notes
        self._av = optional.load("av")
        try:
            # Text in a file may be in any encoding.
            self._container = self._av.open(address(path), metadata_errors="replace")
        except (self._av.FFmpegError, UnicodeError) as error:
            raise not_a_video(path) from error
        try:
            self._stream = self._main_track()
        except BaseException:
            self._container.close()
            raise
        rate = self._stream.average_rate or self._stream.guessed_rate or 0
        self.fps = float(rate)
        seconds = (self._container.duration or 0) / 1e6
        self.length = int(self._stream.frames or seconds * rate)
        self._aspect = checked_aspect(path, float(self._stream.sample_aspect_ratio or 0))
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._matrix_type = self._av.sidedata.sidedata.Type.DISPLAYMATRIX

    def frames(self) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
        """See `VideoFile`."""
        self._tell_of_times()
        seconds = 0.0
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.options = _STRICT
        for frame in self._decoded():
            self._check_colours(frame)
            if frame.interlaced_frame:
                self._notes.tell("interlaced: every second line of a frame is of another moment")
            seconds = frame.time or seconds
            yield frame.time, self._seen(frame)
        self._tell_of_end(seconds)

    def close(self) -> None:
        """See `VideoFile`."""
        self._container.close()

    def _seen(self, frame: Any) -> NDArray[np.uint8]:
        rgb = self._reformatter.reformat(frame, format="rgb24", interpolation="BICUBIC")
        return upright(square(rgb.to_ndarray(), self._aspect), self._orientation(frame))

    def _main_track(self) -> Any:
        """The largest video track that is no cover picture."""
        pictures = self._av.stream.Disposition.attached_pic
        tracks = [one for one in self._container.streams.video if not one.disposition & pictures]
        tracks = [one for one in tracks if one.codec_context is not None]
        if not tracks:
            raise SourceError(f"{self._path} has no video that can be decoded, only other tracks")
        main = max(tracks, key=lambda one: one.codec_context.width * one.codec_context.height)
        if len(tracks) > 1:
            size = f"{main.codec_context.width}x{main.codec_context.height}"
            self._notes.tell(f"{len(tracks)} video tracks: the largest, of {size}, is read")
        return main

    def _decoded(self) -> Iterator[Any]:
        """Decoded frames in order; those that cannot be, at the start of a cut, are left out."""
        first_time: int | None = None
        begun, early, count = False, 0, 0
        try:
            for packet in self._undamaged():
                if packet.size and not begun:
                    begun, first_time = packet.is_keyframe, packet.pts
                # What comes before the first key frame, in the file or in time, needs a frame
                # before it, which was cut away.
                is_early = first_time is not None and (packet.pts or first_time) < first_time
                if packet.size and (not begun or is_early):
                    early += 1
                    continue
                for frame in packet.decode():
                    if frame.is_corrupt:
                        raise DamageError
                    count += 1
                    yield frame
        except self._av.FFmpegError as error:
            raise DamageError from error
        if early:
            self._notes.tell(
                f"{early} frames before the first key frame need one that was cut away: left out"
            )
        stated = self._stream.frames
        if count < stated - early:
            self._notes.tell(f"{stated - count} of the {stated} frames that it states are missing")

    def _undamaged(self) -> Iterator[Any]:
        """Packets, up to one in which the container knows that bytes are lost."""
        waiting = deque[Any]()
        for packet in self._container.demux(self._stream):
            waiting.append(packet)
            if len(waiting) > _NEXT:
                yield _whole(waiting)
        while waiting:
            yield _whole(waiting)

    def _tell_of_times(self) -> None:
        container, untimed = self._container.format, self._av.format.Flags.no_timestamps.value
        # Pictures that follow each other, and nothing else, are a pipe to FFmpeg.
        if container.flags & untimed or container.name.endswith("_pipe"):
            self._notes.tell(f"the file gives no times: {self.fps:g} frames per second are taken")

    def _tell_of_end(self, last: float) -> None:
        """Compare with the duration that is stated: a damaged Matroska file just ends."""
        step = 1 / (self.fps or 25)
        ended = last - (self._container.start_time or 0) / 1e6 + step
        stated = (self._container.duration or 0) / 1e6
        if ended + 1.5 * step + (_SOUND if self._container.streams.audio else 0) < stated:
            self._notes.tell(
                f"its frames end at {ended:.1f} s of the {stated:.1f} s that it states"
            )

    def _check_colours(self, frame: Any) -> None:
        if frame.colorspace not in _MATRICES:
            raise SourceError(
                f"the colours of {self._path} (matrix {frame.colorspace} of H.273) are not known; "
                "convert it: ffmpeg -i IN -vf scale=out_color_matrix=bt709 OUT"
            )
        if frame.color_trc in _HDR:
            self._notes.tell(
                f"high dynamic range ({_HDR[frame.color_trc]}): read without tone mapping, paler "
                "than a camera's pictures"
            )
        if frame.colorspace == _UNSPECIFIED and frame.height >= _HIGH_DEFINITION:
            self._notes.tell("the file does not name its colour matrix: BT.601 is taken")

    def _orientation(self, frame: Any) -> int:
        data = frame.side_data.get(self._matrix_type)
        if data is None:
            return 1
        orientation = of_display_matrix(bytes(data))
        if orientation is None:
            raise SourceError(
                f"the video {self._path} is turned by no right angle; turn it: ffmpeg -i IN OUT"
            )
        return orientation


def _whole(waiting: deque[Any]) -> Any:
    """Take the first of some packets.

    A recording may be several, one behind the other. Where the next begins, the count of an MPEG
    transport stream breaks as if something were lost; but then time goes back, too.

    Raises:
        DamageError: bytes of it are lost.
    """
    packet = waiting.popleft()
    if packet.is_corrupt:
        times = [one.dts for one in (packet, *waiting) if one.dts is not None]
        if times == sorted(times):
            raise DamageError
    return packet
