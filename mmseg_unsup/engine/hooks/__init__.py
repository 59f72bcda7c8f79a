from .compile_hook import CompileHook
from .contact_sheet_hook import ContactSheetHook
from .fresh_kmeans_hook import FreshKMeansHook
from .initial_evaluation_hook import InitialEvaluationHook
from .pca_init_hook import PCAInitHook
from .phase_timer_hook import PhaseTimerHook
from .pixel_clustering_hook import PixelClusteringHook
from .probe_hook import ProbeHook
from .train_progress_hook import TrainProgressHook
from .view_epoch_hook import ViewEpochHook

__all__ = [
    'CompileHook', 'ContactSheetHook', 'FreshKMeansHook', 'InitialEvaluationHook', 'PCAInitHook', 'PhaseTimerHook',
    'PixelClusteringHook', 'ProbeHook', 'TrainProgressHook', 'ViewEpochHook'
]
