from .compile_hook import CompileHook
from .contact_sheet_hook import ContactSheetHook
from .fresh_kmeans_hook import FreshKMeansHook
from .initial_evaluation_hook import InitialEvaluationHook
from .momentum_update_hook import MomentumUpdateHook
from .object_clustering_hook import ObjectClusteringHook
from .pca_init_hook import PCAInitHook
from .phase_timer_hook import PhaseTimerHook
from .pixel_clustering_hook import PixelClusteringHook
from .probe_hook import ProbeHook
from .step_seed_hook import StepSeedHook
from .train_progress_hook import TrainProgressHook
from .view_epoch_hook import ViewEpochHook

__all__ = [
    'CompileHook', 'ContactSheetHook', 'FreshKMeansHook', 'InitialEvaluationHook', 'MomentumUpdateHook',
    'ObjectClusteringHook', 'PCAInitHook', 'PhaseTimerHook', 'PixelClusteringHook', 'ProbeHook', 'StepSeedHook',
    'TrainProgressHook', 'ViewEpochHook'
]
