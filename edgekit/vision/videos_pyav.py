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
# Codecs whose decoders refuse, if they are strict, what refers to a frame before the first.
_REFERRING = frozenset({"h264", "hevc"})
# What FFmpeg draws from text and calls a video.
_TEXT = frozenset({"ansi", "bintext", "idf", "xbin"})
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
        self._container, self._stream = self._open()
        rate = self._stream.average_rate or self._stream.guessed_rate or 0
        self.fps = float(rate)
        if self._stream.duration is not None:
            self.duration = float(self._stream.duration * self._stream.time_base)
        else:
            # That of all tracks.
            sound = _SOUND if self._container.streams.audio else 0.0
            self.duration = (self._container.duration or 0) / 1e6 - sound
        self.length = self._stream.frames or max(0, int(self.duration * rate))
        self._aspect = checked_aspect(path, float(self._stream.sample_aspect_ratio or 0))
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._matrix_type = self._av.sidedata.sidedata.Type.DISPLAYMATRIX
        self._count = 0

    def frames(self) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
        """See `VideoFile`."""
        self._tell_of_times()
        try:
            yield from self._frames(_STRICT)
        except DamageError:
            if self._count or self._stream.codec_context.name not in _REFERRING:
                raise
            self._notes.tell(
                "its start refers to frames that were cut away, or is damaged: FFmpeg makes up for "
                "what is missing"
            )
            self.close()
            self._container, self._stream = self._open()
            yield from self._frames({})

    def close(self) -> None:
        """See `VideoFile`."""
        self._container.close()

    def _open(self) -> tuple[Any, Any]:
        """The file and its main track."""
        try:
            # Text in a file may be in any encoding.
            container = self._av.open(address(self._path), metadata_errors="replace")
        except (self._av.FFmpegError, UnicodeError) as error:
            raise not_a_video(self._path) from error
        try:
            return container, self._main_track(container)
        except BaseException:
            container.close()
            raise

    def _frames(self, options: dict[str, str]) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.options = options
        for frame in self._decoded():
            self._check_colours(frame)
            if frame.interlaced_frame:
                self._notes.tell("interlaced: every second line of a frame is of another moment")
            yield frame.time, self._seen(frame)

    def _seen(self, frame: Any) -> NDArray[np.uint8]:
        # By default each frame wakes a thread for each processor, which small frames do not repay.
        rgb = self._reformatter.reformat(frame, format="rgb24", interpolation="BICUBIC", threads=1)
        return upright(square(rgb.to_ndarray(), self._aspect), self._orientation(frame))

    def _main_track(self, container: Any) -> Any:
        """The largest video track that is no cover picture."""
        pictures = self._av.stream.Disposition.attached_pic
        tracks = [one for one in container.streams.video if not one.disposition & pictures]
        tracks = [one for one in tracks if one.codec_context is not None]
        if any(one.codec_context.name in _TEXT for one in tracks):
            raise not_a_video(self._path)
        if not tracks:
            raise SourceError(f"{self._path} has no video that can be decoded, only other tracks")
        main = max(tracks, key=lambda one: one.codec_context.width * one.codec_context.height)
        if len(tracks) > 1:
            size = f"{main.codec_context.width}x{main.codec_context.height}"
            self._notes.tell(f"{len(tracks)} video tracks: the largest, of {size}, is read")
        return main

    def _decoded(self) -> Iterator[Any]:
        """Decoded frames in order; those that cannot be, at the start of a cut, are left out."""
        keys, first_time, early = 0, None, 0
        try:
            for packet in self._undamaged():
                if packet.size:
                    keys += packet.is_keyframe
                    if keys == 1 and packet.is_keyframe:
                        first_time = packet.pts
                    # What comes before the first key frame, in the file or in time, needs a frame
                    # before it, which was cut away.
                    if keys == 0 or (keys == 1 and _is_before(packet.pts, first_time)):
                        early += 1
                        continue
                for frame in packet.decode():
                    if frame.is_corrupt:
                        raise DamageError
                    self._count += 1
                    yield frame
        except self._av.FFmpegError as error:
            raise DamageError from error
        if early:
            self._notes.tell(
                f"{early} frames before the first key frame need one that was cut away: left out"
            )
        stated = self._stream.frames
        missing = stated - early - self._count
        if missing > 0:
            self._notes.tell(f"{missing} of the {stated} frames that it states are missing")

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


def _is_before(time: int | None, other: int | None) -> bool:
    return time is not None and other is not None and time < other


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
