"""Make folders of pictures of videos.

    mmseg-unsup frames VIDEO.mp4 --out FRAMES
    mmseg-unsup frames FIRST.mp4 SECOND.mov --out FRAMES --every 10

FRAMES is a folder for `mmseg-unsup segment`, `predict` and all else. Of a video NAME.mp4 it has a folder NAME with
frame_000000.jpg and so on, numbered as in the video, upright, as JPEGs of quality 95, and frames.json. `predict
--format video` and `convert-maps --format video` write maps over the frames as a video of the same speed.

Frames are decoded one after the other from the first one on, so that --every N takes the same ones each time. A folder
has its name when all of its frames are there; the same command given again goes on where it was stopped. A video that
cannot be read, or breaks off more than a second before the end that it states, ends the command with status 2, or is
used as far as it goes (--on-error skip).
"""
import argparse

from ..utils.checks import at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('videos', metavar='VIDEO', nargs='+', help='video file, of any kind that FFmpeg reads')
    parser.add_argument('--out', required=True, metavar='FRAMES', help='folder of the folders of frames')
    parser.add_argument('--every', type=at_least(1), default=1, metavar='N', help='take only every N-th frame, from '
                        'the first one on (default: all)')
    parser.add_argument('--on-error', choices=['raise', 'skip'], default='raise', help='of a video that breaks off: '
                        'skip keeps its frames; or that is unreadable: skip leaves it out')


def run(args: argparse.Namespace) -> None:
    import shlex

    from ..converters.frames import extract_frames
    from ..utils.console import counted, next_steps
    found = extract_frames(args.videos, args.out, args.every, args.on_error)
    print(f'{counted(sum(found.values()), "frame")} of {counted(len(found), "video")}: {", ".join(found)}')
    out = shlex.quote(args.out)
    print(next_steps(f'segment {out} --method picie --out OUT', f'predict MODEL {out} --out OUT --format video'))
