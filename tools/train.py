"""Train a model from a config."""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
from mmengine.runner import Runner

from mmseg_unsup.utils.command_line import add_speed_arguments, apply_speed_arguments, config_from, runner_parser


def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue a run: from the checkpoint PATH, or (auto) from the last one in the work dir')
    add_speed_arguments(parser)
    args = parser.parse_args()
    cfg = config_from(args)
    apply_speed_arguments(cfg, args)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()
