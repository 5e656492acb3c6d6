"""`FDPOTrainer`: TRL's DPO trainer with a beta per segment; each image is encoded once per pair, the reference once per run.

TRL keeps arguments, model and adapter set-up, the loop, checkpoints and logging. This module brings the collator, the forward
pass, the sums, the reference and the loss, all reached through the public `compute_loss`. At alpha = 0 loss and gradients
are those of `DPOTrainer`.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate.utils import is_peft_model
from datasets import Dataset
from torch import Tensor
from trl.models.utils import prepare_deepspeed
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.utils import use_adapter

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.batch_statistics import hold_batch_statistics
from spatialreasoner.training.betas import betas_of
from spatialreasoner.training.compat_trl import PairTrainer, as_fdpo, merged_adapter, processor_of
from spatialreasoner.training.fdpo_config import FDPOConfig as FDPOConfig
from spatialreasoner.training.forward import add_token_logps, padded, pair_logps, pair_tokens
from spatialreasoner.training.grouping import GroupedSampler, adjacent, row_keys, share
from spatialreasoner.training.loss import LossType, fdpo_loss, per_token
from spatialreasoner.training.reference import ReferenceCache, reference_key
from spatialreasoner.training.refusals import refuse_family, refuse_virtual_tokens
from spatialreasoner.training.router import refuse_silent_router
from spatialreasoner.training.rows import NO_STREAMS, collator_of, is_stream, prepared, say_what_gaps_miss
from spatialreasoner.training.segments import Spans
from spatialreasoner.training.sharding import spread
from spatialreasoner.training.shared_prefix import enable_shared_prefix, packed
from spatialreasoner.training.trying import TriesFirstRows, unwrapped
from spatialreasoner.training.vision import SharedVision

if TYPE_CHECKING:
    from datasets import IterableDataset
    from peft import PeftModel
    from transformers import EvalPrediction, PreTrainedModel, TrainerCallback

logger = logging.getLogger(__name__)


class FDPOTrainer(TriesFirstRows, PairTrainer):
    """Fine-grained DPO of a vision-language model.

    Takes the arguments of `DPOTrainer`, in the same order and with the same defaults; options that it does not support are
    refused by name. Rows are conversations or plain text, with or without images, from a dataset or a stream; without a prompt,
    the common beginning of both answers is the prompt. Reward gaps are in the columns `gap_<segment>`; a pair with an absent
    gap, or None, is unscored, and its segments have equal betas: without gaps this is DPO. Without `ref_model` the reference is
    the given model, with its adapter disabled.

    Args:
        model: A model, or the folder or repository to load it from; an adapter there is merged into its base.
        ref_model: The reference; None for the initial model.
        args: The options, `FDPOConfig` or TRL's `DPOConfig`; None for the defaults.
        data_collator: A `PairCollator`; None makes one from the options.
        train_dataset: The pairs.
        eval_dataset: Held-out pairs, or several sets of them by name.
        processing_class: The model's processor or tokenizer; by default loaded from where the model comes from.
        compute_metrics: Called with logits and token ids of the evaluated pairs, all chosen rows before all rejected ones;
            costs an additional forward pass.
        callbacks: Callbacks of the training loop.
        optimizers: The optimizer and its schedule; None makes them from the options.
        quantization_config: Quantization of a model that is loaded by name.
        peft_config: The adapter to train.
        spans: Finds the segments in a response; by default as set in the options.
    """

    def __init__(
        self,
        model: str | PreTrainedModel | PeftModel,
        ref_model: PreTrainedModel | None = None,
        args: DPOConfig | None = None,
        data_collator: Any = None,
        train_dataset: Dataset | IterableDataset | None = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        compute_metrics: Callable[[EvalPrediction], dict[str, Any]] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        quantization_config: Any = None,
        peft_config: Any = None,
        *,
        spans: Spans | None = None,
    ) -> None:
        if isinstance(ref_model, DPOConfig):  # where args were before there was a ref_model here
            ref_model, args = None, ref_model
        options = as_fdpo(args, model)
        if train_dataset is None:
            raise ConfigError("`train_dataset` is required: a datasets.Dataset or IterableDataset of pairs")
        if options.precompute_ref_log_probs and (is_stream(train_dataset) or is_stream(eval_dataset)):
            raise ConfigError(NO_STREAMS)
        refuse_virtual_tokens(model, peft_config)
        model, its_processor = merged_adapter(model, options, quantization_config)
        if processing_class is None:
            processing_class = processor_of(model, options) if its_processor is None else its_processor
        collator = collator_of(data_collator, processing_class, options, spans)
        reference: Any = None
        own_reference = not (isinstance(model, str) or peft_config or is_peft_model(model))
        if own_reference and (ref_model is not None or not (options.precompute_ref_log_probs or options.reference_free)):
            # TRL would load the reference from where the model once came from, whatever became of it since; and gather it
            # whole in every process where FSDP spreads the policy
            reference = copy.deepcopy(model) if ref_model is None else ref_model
        self._prepare = partial(
            prepared, encoder=collator.encoder, gap_columns=options.gap_columns, processes=options.dataset_num_proc
        )
        super().__init__(
            model,
            reference if own_reference else ref_model,
            own_reference=own_reference,
            args=options,
            data_collator=cast("Any", collator),
            train_dataset=self._prepare(train_dataset),
            eval_dataset=self._prepare(eval_dataset),
            processing_class=processing_class,
            compute_metrics=compute_metrics,
            callbacks=callbacks,
            optimizers=optimizers,
            quantization_config=quantization_config,
            peft_config=peft_config,
        )
        if options.loss == "fdpo" and self.is_world_process_zero():
            say_what_gaps_miss(self.train_dataset, collator.encoder)
        self._shares: bool | None = None  # found out on the first rows
        self._keeps_reference = ref_model is not None  # the caller holds it anyway, and may evaluate pairs that are new
        hold_batch_statistics(unwrapped(self.model))
        refuse_family(unwrapped(self.model).config.model_type, pairs=True)
        if self.aux_loss_enabled:
            refuse_silent_router(unwrapped(self.model), self.router_aux_loss_coef)
        self._teach([self.model, reference if own_reference else self.ref_model])  # before weights are spread over processes
        if own_reference:
            self.ref_model = None if reference is None else self._prepared(reference)
        self._vision: SharedVision | None = None
        if options.precompute_ref_log_probs:
            self.args.precompute_ref_log_probs = True
            self._cache_reference()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean loss of a batch of pairs; with `return_outputs` also an empty mapping, since no logits are computed."""
        vision = self._shared_vision()
        with contextlib.nullcontext() if "ref_chosen_logps" in inputs else vision.step():
            policy, router = self._policy_logps(model, inputs)
            ref = self._reference_logps(inputs)
        betas, tokens = betas_of(inputs, self.args), pair_tokens(inputs, len(self.segment_names))
        chosen, rejected = (
            [per_token(logps, count, self.args.normalization) for logps in (of_policy, of_ref)]
            for of_policy, of_ref, count in zip(policy, ref, tokens, strict=True)
        )
        loss = fdpo_loss(
            chosen[0],
            rejected[0],
            chosen[1],
            rejected[1],
            betas,
            loss_type=cast("LossType", self.args.loss_type[0]),
            label_smoothing=self.args.label_smoothing,
            gamma=self.args.simpo_gamma,
        ).mean()
        if self.args.nll_weight:
            loss = loss - self.args.nll_weight * (policy[0].sum(-1) / inputs["lengths"][:, 1]).mean()
        if router is not None:
            loss = loss + self.router_aux_loss_coef * router
            self.log_means({"aux_loss": router.detach()[None]})
        logged = (chosen, rejected) if self.args.reference_free else zip(policy, ref, strict=True)  # as TRL does
        self._record(policy, [betas * (of_policy.detach() - of_ref) for of_policy, of_ref in logged], betas)
        return (loss, {}) if return_outputs else loss

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Any, Any, Any]:
        """The loss of an evaluation batch; where metrics are computed, also logits and ids of the padded rows."""
        with torch.no_grad(), self.compute_loss_context_manager():
            batch = self.on_device(inputs)
            loss = self.compute_loss(model, batch).detach()
            if prediction_loss_only:
                return loss, None, None
            rows = padded(batch, pad_token_id=self.pad_token_id)
            logits = model(**{name: value for name, value in rows.items() if not name.startswith("logps_")}).logits
            return loss, logits, rows["input_ids"]

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Evaluate; a dataset that is given here may have any form that the trainer takes.

        Raises:
            ConfigError: If the reference was precomputed, is gone, and the pairs are new.
        """
        if eval_dataset is not None and not isinstance(eval_dataset, str):
            if self.args.precompute_ref_log_probs and is_stream(eval_dataset):
                raise ConfigError(NO_STREAMS)
            eval_dataset = self._prepare(eval_dataset)
        return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)

    def train_sampler(self, dataset: Any) -> GroupedSampler | None:
        """TRL's sampler, unless rows share images or prompts and a batch holds several rows: then those are put together."""
        batch = self.args.train_batch_size * self.args.world_size
        groups = self.args.group_window and batch > 1 and self.args.train_sampling_strategy == "random"
        if groups and isinstance(dataset, Dataset):
            keys = row_keys(dataset)
            if share(keys):
                seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
                return GroupedSampler(keys, batch=batch, window=self.args.group_window, seed=seed)
        return None

    @property
    def shares_prefix(self) -> bool | None:
        """Whether responses share the prompt's computation; None until the first batch has tried it."""
        return self._shares

    @property
    def segment_names(self) -> tuple[str, ...]:
        """The segments whose log-probabilities are summed; the last, where markup has the base beta, is `markup`."""
        return (*self.args.segments, *(["markup"] if self.args.markup == "base" else []))

    def _pair_logps(self, model: Any, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return pair_logps(model(**self._layout(model, batch)), batch, len(self.segment_names))

    def _policy_logps(self, model: Any, batch: dict[str, Any]) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
        """The policy's log-probabilities, and where experts are balanced the router's loss."""
        if not self.aux_loss_enabled:
            return self._pair_logps(model, batch), None
        logps, router = model(**self._layout(model, batch, router=True))
        return pair_logps(logps, batch, len(self.segment_names)), router

    def _layout(self, model: Any, batch: dict[str, Any], *, router: bool = False) -> dict[str, Any]:
        if self._shares is None:
            self._shares = self._try_out(model)
        if self._shares:
            return packed(batch, unwrapped(self.model), router=router)
        return padded(batch, pad_token_id=self.pad_token_id, router=router)

    def _reference_logps(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        if self.args.reference_free:
            nothing = batch["gaps"].new_zeros((len(batch["gaps"]), len(self.segment_names)))
            return nothing, nothing
        if "ref_chosen_logps" in batch:
            return batch["ref_chosen_logps"], batch["ref_rejected_logps"]
        if self.ref_model is None and self.state.global_step and not is_peft_model(self.model):
            raise ConfigError(
                "Cannot compute reference log-probs for a dataset passed to evaluate() after training has started: with "
                "precompute_ref_log_probs the reference is gone. Give it as eval_dataset, or give a ref_model"
            )
        with torch.no_grad(), self.accelerator.autocast(), self._reference_model() as model:
            chosen, rejected = self._pair_logps(model, batch)
        return chosen, rejected

    def _shared_vision(self) -> SharedVision:
        """What policy and reference see alike, found out before the first step; warns where a frozen tower runs twice."""
        if self._vision is None:
            reference = self.model if self.ref_model is None else self.ref_model
            self._vision = SharedVision(
                unwrapped(self.model),
                unwrapped(reference),
                folder=Path(self.args.vision_cache or Path(str(self.args.output_dir)) / "vision"),
                limit=int(self.args.vision_cache_gib * 2**30),
            )
            if self._vision.reason and not self.args.precompute_ref_log_probs:
                logger.warning(
                    "%s does not share its vision tower with the reference: %s. Training continues, and each runs its own.",
                    type(unwrapped(self.model)).__name__,
                    self._vision.reason,
                )
        return self._vision

    @contextlib.contextmanager
    def _reference_model(self) -> Generator[Any]:
        """The reference: a model of its own, the policy without its adapter, or (before the first step) the policy."""
        model = self.model if self.ref_model is None else self.ref_model
        was_training = model.training
        model.eval()  # an adapter's dropout is the policy's alone
        with self._without_adapter() if self.ref_model is None else contextlib.nullcontext():
            yield model
        model.train(was_training)

    def _teach(self, models: Sequence[Any]) -> None:
        """Teach models to return log-probabilities of chosen tokens, and to share prefixes where that is asked for."""
        for each in models:
            if each is not None:
                add_token_logps(unwrapped(each))
                if self.args.shared_prefix:
                    enable_shared_prefix(unwrapped(each))

    def _prepared(self, reference: Any) -> Any:
        if self.is_deepspeed_enabled:
            return prepare_deepspeed(reference, self.accelerator)
        if self.is_fsdp_enabled:
            return spread(reference, self.accelerator)
        return self.accelerator.prepare_model(reference, evaluation_mode=True)

    def _without_adapter(self) -> contextlib.AbstractContextManager[Any]:
        if not is_peft_model(self.model):
            return contextlib.nullcontext()
        wrapped = self.accelerator.unwrap_model(self.model)
        return use_adapter(wrapped, adapter_name="ref" if "ref" in wrapped.peft_config else None)

    def _cache_reference(self) -> None:
        """Compute, or read, the reference's log-probabilities of every pair, and let go of a reference that was not given.

        Raises:
            ConfigError: If the model is spread over devices, where it cannot run before training has set it up.
        """
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise ConfigError(
                "precompute_ref_log_probs needs the whole model in each process; with FSDP or DeepSpeed set it to false"
            )
        path = Path(self.args.reference_cache or Path(str(self.args.output_dir)) / "reference.jsonl")
        self._shared_vision()
        with self._reference_model() as model:
            key = reference_key(
                unwrapped(model),
                self.processing_class,
                segments=self.segment_names,
                markup=self.args.markup,
                thinking=self.args.enable_thinking,
            )
        key |= self.args.reading
        self.train_dataset = self._with_reference(self.train_dataset, path, key)
        if isinstance(self.eval_dataset, Mapping):
            self.eval_dataset = {
                name: self._with_reference(data, path.with_stem(f"{path.stem}-{name}"), key)
                for name, data in self.eval_dataset.items()
            }
        elif self.eval_dataset is not None:
            self.eval_dataset = self._with_reference(self.eval_dataset, path.with_stem(f"{path.stem}-eval"), key)
        if not self._keeps_reference:
            self.ref_model = None

    def _with_reference(self, dataset: Any, path: Path, key: Mapping[str, str]) -> Any:
        def compute(examples: Sequence[Mapping[str, Any]]) -> list[tuple[list[float], list[float]]]:
            batch = self.on_device(self.data_collator(list(examples)))
            chosen, rejected = self._reference_logps(batch)
            return list(zip(chosen.tolist(), rejected.tolist(), strict=True))

        batch_size = self.args.precompute_ref_batch_size or self.args.per_device_train_batch_size
        order = adjacent(row_keys(dataset)) if batch_size > 1 else range(len(dataset))
        rows = ReferenceCache(path, key).complete(dataset, compute, batch_size=batch_size, order=order)
        dataset = dataset.add_column("ref_chosen_logps", [chosen for chosen, _ in rows])
        return dataset.add_column("ref_rejected_logps", [rejected for _, rejected in rows])

    def _record(self, policy: Sequence[Tensor], rewards: Sequence[Tensor], betas: Tensor) -> None:
        """Log implicit rewards, margins, accuracies, betas and log-probabilities, of the whole and of each segment."""
        values = {"": [*(reward.sum(-1) for reward in rewards), *(side.detach().sum(-1) for side in policy)]}
        for index, name in enumerate(self.segment_names):
            values[f"/{name}"] = [*(reward[:, index] for reward in rewards), *(side.detach()[:, index] for side in policy)]
        rows: dict[str, Tensor] = {}
        for suffix, (chosen, rejected, logps_chosen, logps_rejected) in values.items():
            rows[f"rewards/chosen{suffix}"] = chosen
            rows[f"rewards/rejected{suffix}"] = rejected
            rows[f"rewards/margins{suffix}"] = chosen - rejected
            rows[f"rewards/accuracies{suffix}"] = (chosen > rejected).float()
            rows[f"logps/chosen{suffix}"] = logps_chosen
            rows[f"logps/rejected{suffix}"] = logps_rejected
        for index, name in enumerate(self.segment_names):
            rows[f"betas/{name}"] = betas[:, index]
        self.log_means(rows)
