from .atomic_checkpoint_hook import AtomicCheckpointHook
from .check_data_hook import CheckDataHook
from .cluster_pictures_hook import ClusterPicturesHook
from .codebook_hook import CodebookHook
from .compile_hook import CompileHook
from .console_hook import ConsoleHook
from .deferred_info_hook import DeferredInfoHook
from .feature_cache_hook import FeatureCacheHook
from .fit_hook import FitHook
from .fresh_kmeans_hook import FreshKMeansHook
from .image_neighbour_hook import ImageNeighbourHook
from .initial_evaluation_hook import InitialEvaluationHook
from .initialization_hook import InitializationHook
from .linear_probe_hook import LinearProbeHook
from .longer_schedule_hook import LongerScheduleHook
from .non_finite_hook import NonFiniteHook
from .object_clustering_hook import ObjectClusteringHook
from .pca_init_hook import PCAInitHook
from .phase_timer_hook import PhaseTimerHook
from .pixel_clustering_hook import PixelClusteringHook
from .precision_hook import PrecisionHook
from .preemption_hook import PreemptionHook
from .probe_hook import ProbeHook
from .report_hook import ReportHook
from .run_folder_hook import RunFolderHook
from .teacher_hook import TeacherHook
from .train_progress_hook import TrainProgressHook
from .unreadable_images_hook import UnreadableImagesHook
from .view_epoch_hook import ViewEpochHook

__all__ = [
    'AtomicCheckpointHook', 'CheckDataHook', 'ClusterPicturesHook', 'CodebookHook', 'CompileHook', 'ConsoleHook',
    'DeferredInfoHook', 'FeatureCacheHook', 'FitHook', 'FreshKMeansHook', 'ImageNeighbourHook',
    'InitialEvaluationHook', 'InitializationHook', 'LinearProbeHook', 'LongerScheduleHook', 'NonFiniteHook',
    'ObjectClusteringHook', 'PCAInitHook', 'PhaseTimerHook', 'PixelClusteringHook', 'PrecisionHook', 'PreemptionHook',
    'ProbeHook', 'ReportHook', 'RunFolderHook', 'TeacherHook', 'TrainProgressHook', 'UnreadableImagesHook',
    'ViewEpochHook'
]
