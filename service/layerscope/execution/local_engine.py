"""The engine of one process: models in memory, and queries that run on them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from layerscope.execution.admission import Workload, fixed_sizes, plan_of
from layerscope.execution.cache import ActivationCache
from layerscope.execution.comparison_plan import ComparisonPlan
from layerscope.execution.comparison_query import ComparisonQuery
from layerscope.execution.comparison_run import ComparisonRun
from layerscope.execution.inputs import require_few_images, rows_of
from layerscope.execution.interface import ModelRecord, Query, QueryPlan, Result
from layerscope.execution.lanes import Lanes
from layerscope.execution.observers import Observer, Observers
from layerscope.execution.paired_run import COPIES
from layerscope.execution.prepared_query import LocalPreparedQuery
from layerscope.execution.query_edits import QueryEdits
from layerscope.execution.query_run import Key
from layerscope.execution.watched_layers import Watch, WatchedLayer, WatchedLayers
from layerscope.execution.working_memory import WorkingMemory
from layerscope.graph.lite.model import LiteModel
from layerscope.graph.loading.loader import SHARED_LOADER, Loader
from layerscope.graph.loading.prepared_files import PreparedFiles
from layerscope.graph.model import LoadedModel, ModelDescription, assemble
from layerscope.graph.prepared.devices import has_gpu
from layerscope.graph.prepared.prepared_model import PreparedModel
from layerscope.graph.receptive.field import ReceptiveField
from layerscope.graph.remote.remote_executable import RemoteExecutable
from layerscope.graph.remote.run_process import SHARED_RUN_PROCESS, RunBounds, RunProcess
from layerscope.graph.rewrites import REWRITES
from layerscope.graph.runtime.executable import Array, Executable
from layerscope.graph.runtime.plans import Runtime
from layerscope.graph.taps.selectors import require_few, require_one, split_selectors
from layerscope.graph.taps.tap import Tap
from layerscope.limits import Limits
from layerscope.models.control import Control
from layerscope.models.directory import ModelSource
from layerscope.models.library import Library
from layerscope.models.lite_files import lite_file
from layerscope.models.source_sync import Refresh, nothing_to_fetch
from layerscope.models.worker_sync import SINGLE_PROCESS, WorkerSync


class LocalEngine:
    """An engine in this process.

    Attributes:
        memory: what all requests share, see `WorkingMemory`.

    Args:
        directory: where the models are; see `layerscope.models.directory`.
        limits: the bounds in force.
        loader: what opens models; left out, a process that all engines of this process share.
        run_process: the process of long runs; likewise. It has no GPU: with one, long runs stay in this process.
        prepared_files: keeps opened models on the disk; left out, each load opens its model.
        trusted: whether the makers of the models are trusted: SavedModels are programs.
        exact: whether each image runs by itself, whatever images come together; see `Executable`.
        graph_rewrites: whether plans are made faster by `layerscope.graph.rewrites.REWRITES`.
        runtime: what runs the plans of whole images; long runs of the run process are TensorFlow's.
        control: which models are in memory, and who may change that.
        watch: the layers whose statistics are kept, whatever is requested.
        refresh: brings the directory up to date if it is the mirror of a remote source.
        worker_sync: the other processes that serve the same models.
    """

    def __init__(
        self,
        directory: Path,
        limits: Limits | None = None,
        loader: Loader = SHARED_LOADER,
        run_process: RunProcess = SHARED_RUN_PROCESS,
        *,
        prepared_files: PreparedFiles | None = None,
        trusted: bool = False,
        exact: bool = True,
        graph_rewrites: bool = True,
        runtime: Runtime = "tensorflow",
        control: Control | None = None,
        watch: Watch | None = None,
        refresh: Refresh = nothing_to_fetch,
        worker_sync: WorkerSync = SINGLE_PROCESS,
    ) -> None:
        self.limits = limits or Limits()
        self._control = control or Control()
        self._loader = loader
        self._prepared_files = prepared_files
        self._run_process = run_process
        self._long_runs = None if has_gpu() else run_process
        self._holding = ExitStack()
        self._holding.enter_context(run_process)
        self._exact = exact
        self._rewrites = REWRITES if graph_rewrites else ()
        self._runtime = runtime
        self._observers = Observers()
        self._watched = WatchedLayers(watch or Watch())
        self.models: Library[LoadedModel] = Library(
            directory,
            lambda source: self._observers.load(source, lambda: self._assembled(source)),
            self.limits,
            self._control,
            load_for_trial=self._assembled,
            trusted=trusted,
            refresh=refresh,
            worker_sync=worker_sync,
        )
        self._registry = self.models.registry
        self._cache = ActivationCache[Key](self.limits.activation_cache_bytes)
        self._lanes = Lanes(self.limits, self._observers.ran, self._long_runs)
        self.memory = WorkingMemory.of(self.limits)
        self._loaded = False

    @property
    def is_ready(self) -> bool:
        """Whether `load_all` has finished."""
        return self._loaded

    @property
    def working_bytes(self) -> int:
        """The memory that admitted queries take now."""
        return self.memory.taken

    @property
    def runs(self) -> int:
        """How many times models have run."""
        return self._lanes.runs

    @property
    def is_stuck(self) -> bool:
        """Whether a run in this process goes on for so long that only the end of the process would end it."""
        return self._lanes.longest_run > self.limits.stuck_milliseconds / 1000

    @property
    def ended_runs(self) -> int:
        """How many runs have ended with their process."""
        return self._run_process.ended

    def load_all(self, progress: Callable[[ModelRecord], None] | None = None) -> None:
        """Load the models that are to be loaded at the start; those that fail are listed with a reason.

        Args:
            progress: called with each when it is loaded or has failed.
        """
        with self._loader:
            if self._control.is_changing:
                # The loader is kept for later changes: starting it again takes seconds.
                self._holding.enter_context(self._loader)
            self._loaded = self.models.open(
                lambda entry: progress(ModelRecord.of(entry)) if progress is not None else None
            )
        self._watched.log_unknown_models(entry.source for entry in self._registry.entries())

    def catalogue(self) -> list[ModelRecord]:
        """Every version of every model, whatever its state."""
        return [ModelRecord.of(entry) for entry in self._registry.entries()]

    def labels(self, name: str) -> dict[str, int]:
        """The labels of a model and the versions they point at."""
        return self._registry.labels(name)

    def describe(self, reference: str) -> ModelDescription:
        """A loaded model.

        Raises:
            ModelNotFound, ModelLoading, ModelNotLoaded: see `Registry.lease`.
        """
        with self._registry.lease(reference) as model:
            return model.description

    @contextmanager
    def prepare(self, query: Query) -> Iterator[LocalPreparedQuery]:
        """Lease the query's model, so that the plan holds until the run.

        Raises:
            ModelNotFound, ModelLoading, ModelNotLoaded: see `Registry.lease`.
            LayerscopeError: whatever is wrong with the query, but for its size.
        """
        with self._registry.lease(query.model) as model:
            yield self._prepared(model, query)

    @contextmanager
    def prepare_comparison(self, query: ComparisonQuery) -> Iterator[ComparisonRun]:
        """Lease both models of a comparison, so that they stay what they are until it has run.

        Raises:
            ModelNotFound, ModelLoading, ModelNotLoaded: see `Registry.lease`.
            LayerscopeError: whatever is wrong with the query, see `ComparisonPlan`.
        """
        with self._registry.lease(query.reference) as one, self._candidate(query.candidate, one) as other:
            plan = ComparisonPlan(one, other, query, self.limits)
            yield ComparisonRun(plan, self.limits, self._lanes, self.memory)

    def plan(self, query: Query, images: int = 1) -> QueryPlan:
        """What a query would compute, and whether it may. Nothing runs.

        Args:
            query: as for `run`, or without sources.
            images: how many to plan for if there are no sources.

        Raises:
            InputMismatch: there are no sources, and the model takes inputs of any size.
            LayerscopeError: whatever else is wrong with the query, but for its size.
        """
        with self._registry.lease(query.model) as model:
            if query.sources:
                return self._prepared(model, query).planned(measured=False)
            taps = self._taps(model, query)
            require_few_images(images, self.limits)
            workload = Workload(
                model=model,
                taps=taps,
                sizes=fixed_sizes(model.description),
                images=images,
                missing_images=images,
                missing_taps=taps,
                copies=COPIES if query.change else 1,
            )
            return plan_of(workload, self.limits, seconds=workload.seconds(), measured=False)

    def run(self, query: Query) -> Result:
        """The result of a query; its memory counts as taken only until it is there.

        Raises:
            LayerscopeError: see `prepare` and `Prepared.run`.
        """
        with self.prepare(query) as prepared, prepared.run() as result:
            return result

    def receptive_field(
        self, query: Query, unit: Mapping[str, int]
    ) -> tuple[ModelDescription, ReceptiveField]:
        """What a unit of the query's layer sees of the inputs. Nothing runs.

        Args:
            query: of one layer; without sources for a model that takes inputs of one size.
            unit: its place by axis, see `ReceptiveFields.of`.

        Raises:
            OptionInvalid: the query has several layers, or the layer's map no such place.
            InputMismatch: there are no sources, and the model takes inputs of any size.
        """
        with self._registry.lease(query.model) as model:
            taps = self._taps(model, query)
            require_one(",".join(query.layers), [tap.address for tap in taps])
            sizes = self._prepared(model, query).sizes if query.sources else fixed_sizes(model.description)
            return model.description, model.fields.of(taps[0], unit, sizes)

    def watch(self, observer: Observer) -> None:
        """Add an observer of every run and of every model that is loaded."""
        self._observers.add(observer)

    def watched_layers(self) -> list[WatchedLayer]:
        """The statistics of the layers that an operator watches, over the images that ran last."""
        models = [model for entry in self._registry.entries() if (model := entry.model) is not None]
        return [layer for model in models for layer in self._watched.statistics(model)]

    def close(self) -> None:
        """Finish what is queued, and release all memory."""
        self.models.close()
        self._lanes.close()
        self._registry.clear()
        self._holding.close()

    @contextmanager
    def _candidate(self, candidate: str, reference: LoadedModel) -> Iterator[LoadedModel | LiteModel]:
        """A version that is leased, or a `.tflite` file beside one."""
        version, slash, file = candidate.partition("/")
        if not slash:
            with self._registry.lease(candidate) as model:
                yield model
            return
        source = self._registry.find(version).source
        path = lite_file(source, file)
        lite = LiteModel(path, reference, self.limits, name=source.name, version=source.version)
        with closing(lite):
            yield lite

    def _assembled(self, source: ModelSource) -> LoadedModel:
        model = assemble(
            source,
            self._opened(source),
            plan_bytes=self.limits.plan_bytes,
            exact=self._exact,
            rewrites=self._rewrites,
            runtime=self._runtime,
            data_sized_bytes=self.limits.data_sized_bytes,
            watched=lambda taps: self._watched.select(source, taps),
        )
        if self._long_runs is not None:
            model.executable.inspection.measure_by(partial(self._measured, self._long_runs, model.executable))
        return model

    def _opened(self, source: ModelSource) -> PreparedModel:
        def load() -> PreparedModel:
            return self._loader.load(source, self.limits.model_load_seconds)

        return load() if self._prepared_files is None else self._prepared_files.load(source, load)

    def _measured(
        self, process: RunProcess, executable: Executable, inputs: Sequence[Array], taps: Sequence[Tap]
    ) -> list[Array]:
        """Values of one blank image, for their shapes."""
        bounds = RunBounds(time.monotonic() + self.limits.deadline_milliseconds / 1000)
        return RemoteExecutable(process, executable, bounds).run(inputs, taps)

    def _taps(self, model: LoadedModel, query: Query) -> list[Tap]:
        selectors = split_selectors(query.layers)
        require_few(selectors, self.limits)
        return model.description.taps.select(selectors)

    def _prepared(self, model: LoadedModel, query: Query) -> LocalPreparedQuery:
        return LocalPreparedQuery(
            model,
            query,
            rows_of(model.description, query.sources, self.limits),
            self._taps(model, query),
            QueryEdits(model, query.edits, self.limits),
            {image: rows_of(model.description, each, self.limits) for image, each in query.patches.items()},
            self.limits,
            self._cache,
            self._lanes,
            self._watched,
            self.memory,
        )
