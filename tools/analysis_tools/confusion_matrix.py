"""The confusion matrix of a checkpoint as a picture: classes by clusters, in the order of the matched classes.

    python tools/analysis_tools/confusion_matrix.py configs/picie/picie_fpn_camvid.py epoch_5.pth confusion.png

Evaluates as tools/test.py does. Rows are shares of the pixels of a class.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
from mmengine.runner import Runner

from mmseg_unsup.engine.feature_pass import unwrap
from mmseg_unsup.engine.hooks.cluster_pictures_hook import confusion_picture, scored_confusion
from mmseg_unsup.utils.command_line import config_from, runner_parser
from mmseg_unsup.utils.data_workers import ending_data_workers
from mmseg_unsup.utils.pictures import check_picture, write_picture


@ending_data_workers()
def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('out', help='picture to write, .png or .jpg')
    args = parser.parse_args()
    check_picture(args.out)  # before the evaluation
    cfg = config_from(args)
    cfg.load_from = args.checkpoint
    runner = Runner.from_cfg(cfg)
    runner.test()
    model = unwrap(runner.model)
    metric = scored_confusion(runner.test_loop.evaluator.metrics, model.predicted_sets[0])
    if metric is None:
        raise SystemExit(f'{args.config} evaluates without labels: a confusion matrix needs a test_evaluator '
                         'HungarianIoUMetric, as the configs of labelled data sets have it')
    classes = runner.test_dataloader.dataset.metainfo['classes']
    write_picture(args.out, confusion_picture(metric, classes, model.n_predicted))
    print(f'confusion matrix: {args.out}')


if __name__ == '__main__':
    main()
