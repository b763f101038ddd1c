use std::borrow::Cow;

use super::metric::{Better, Group, Known, Metric, Read};
use super::reasons::missing_part;

/// FLOPs and bytes.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "flops_total",
        group: Group::Compute,
        unit: "FLOP",
        better: Better::Neither,
        headline: Some(9),
        about: "Matrix products of all tokens, FLOPs, 2 a multiply-add.",
        description: "Matrix products only, 2 FLOPs a multiply-add, attention over the full T × S matrix of new \
            tokens and keys in the\n\
            cache, the last position's logits in prefill, as PyTorch's FlopCounterMode counts; over each \
            request's own\n\
            lengths.",
        formula: None,
        source: "The model's files: every operator's shape, walked over each request's own lengths.",
        limits: "A count of what the model asks for, not of what the device did; `flops_confidence` says how well the model \
            is known.",
        read: Read::Number(|figures| figures.compute.flops_total),
        beside: &[],
        why_null: Some(uncounted),
    },
    Metric {
        name: "flops_prefill",
        group: Group::Compute,
        unit: "FLOP",
        better: Better::Neither,
        headline: None,
        about: "The prefill's part of `flops_total`, FLOPs.",
        description: "The prefill's part of `flops_total`.",
        formula: None,
        source: "The model's files: every operator's shape, walked over each request's own lengths.",
        limits: "A count of what the model asks for, not of what the device did; `flops_confidence` says how well the model \
            is known.",
        read: Read::Number(|figures| figures.compute.flops_prefill),
        beside: &[],
        why_null: Some(operators_unknown),
    },
    Metric {
        name: "flops_decode",
        group: Group::Compute,
        unit: "FLOP",
        better: Better::Neither,
        headline: None,
        about: "The decode's part of `flops_total`, FLOPs.",
        description: "The decode steps' part of `flops_total`.",
        formula: None,
        source: "The model's files: every operator's shape, walked over each request's own lengths.",
        limits: "A count of what the model asks for, not of what the device did; `flops_confidence` says how well the model \
            is known.",
        read: Read::Number(|figures| figures.compute.flops_decode),
        beside: &[],
        why_null: Some(operators_unknown),
    },
    Metric {
        name: "flops_causal_total",
        group: Group::Compute,
        unit: "FLOP",
        better: Better::Neither,
        headline: None,
        about: "`flops_total` with causal attention halved, FLOPs.",
        description: "`flops_total` with only those pairs in attention whose key is not later than the query.",
        formula: None,
        source: "The model's files: every operator's shape, walked over each request's own lengths.",
        limits: "What a kernel that skips masked pairs does; whether the engine has one is not known.",
        read: Read::Number(|figures| figures.compute.flops_causal_total),
        beside: &[],
        why_null: Some(operators_unknown),
    },
    Metric {
        name: "flops_elementwise",
        group: Group::Compute,
        unit: "FLOP",
        better: Better::Neither,
        headline: None,
        about: "The small operators, FLOPs; not in `flops_total`.",
        description: "Norms, softmax, activations, rotary embedding and sums, one FLOP an operation; not in \
            `flops_total`.",
        formula: None,
        source: "The model's files: every operator's shape, walked over each request's own lengths.",
        limits: "One FLOP an operation, an exponential as well.",
        read: Read::Number(|figures| figures.compute.flops_elementwise),
        beside: &[],
        why_null: Some(operators_unknown),
    },
    Metric {
        name: "macs_total",
        group: Group::Compute,
        unit: "multiply-adds",
        better: Better::Neither,
        headline: None,
        about: "`flops_total` / 2, multiply-adds.",
        description: "Multiply-adds: `flops_total` / 2.",
        formula: Some("`flops_total` / 2"),
        source: "Computed from the figures of its formula.",
        limits: "Those of the figures of its formula.",
        read: Read::Number(|figures| figures.compute.macs_total),
        beside: &[],
        why_null: Some(uncounted),
    },
    Metric {
        name: "flops_two_params_tokens",
        group: Group::Compute,
        unit: "FLOP",
        better: Better::Neither,
        headline: None,
        about: "2 × parameters × tokens, FLOPs: the methodology's approximation.",
        description: "The methodology's approximation: 2 × parameters that a token passes × input and output tokens.",
        formula: None,
        source: "Parameters in the model's files, and the tokens.",
        limits: "Leaves out attention, which grows with the square of the length.",
        read: Read::Number(|figures| figures.compute.flops_two_params_tokens),
        beside: &[],
        why_null: Some(uncounted),
    },
    Metric {
        name: "flops_per_second",
        group: Group::Compute,
        unit: "FLOP/s",
        better: Better::Higher,
        headline: None,
        about: "`flops_total` / `duration_sec`, FLOP/s.",
        description: "`flops_total` / `inference_time_sec`, FLOP/s; in the aggregate over `duration_sec`.",
        formula: Some("`flops_total` / `duration_sec`"),
        source: "Computed from the figures of its formula.",
        limits: "A rate of counted FLOPs: the device may have done more.",
        read: Read::Number(|figures| figures.compute.flops_per_second),
        beside: &[],
        why_null: Some(missing_part),
    },
    Metric {
        name: "flops_method",
        group: Group::Compute,
        unit: "",
        better: Better::Neither,
        headline: None,
        about: "`traced`, `architecture` or `parameter_estimate`.",
        description: "`traced`, `architecture` or `parameter_estimate`; null when nothing could be counted.",
        formula: None,
        source: "Which tier the model's files allowed.",
        limits: "Of the count's way, not of its error.",
        read: Read::Text(|figures| figures.compute.flops_method.as_deref().map(Cow::Borrowed)),
        beside: &[],
        why_null: Some(uncounted),
    },
    Metric {
        name: "flops_confidence",
        group: Group::Compute,
        unit: "",
        better: Better::Neither,
        headline: None,
        about: "`high`, `medium` or `low`.",
        description: "`high`, `medium` and `low`, in the same order.",
        formula: None,
        source: "Follows from `flops_method`.",
        limits: "A word for how well the model is known, no interval.",
        read: Read::Text(|figures| Some(figures.compute.flops_confidence?.as_str().into())),
        beside: &[],
        why_null: Some(uncounted),
    },
    Metric {
        name: "bytes_read_total",
        group: Group::Compute,
        unit: "B",
        better: Better::Neither,
        headline: None,
        about: "Weights, keys and values that must be read at the least, bytes; an estimate.",
        description: "Bytes of weights, keys and values that the passes must read at the least, by the weights' real \
            types: each pass\n\
            its weights once, each sequence its cache once. An estimate of the traffic, not a measurement.",
        formula: None,
        source: "The types and shapes of the weights in the model's files, over each request's own lengths.",
        limits: "A lower bound: caches, activations and what is read twice are not in it.",
        read: Read::Number(|figures| figures.compute.bytes_read_total),
        beside: &[],
        why_null: Some(types_unknown),
    },
    Metric {
        name: "bytes_read_decode",
        group: Group::Compute,
        unit: "B",
        better: Better::Neither,
        headline: None,
        about: "The decode's part of `bytes_read_total`, bytes; an estimate.",
        description: "The decode steps' part of `bytes_read_total`.",
        formula: None,
        source: "The types and shapes of the weights in the model's files, over each request's own lengths.",
        limits: "A lower bound: caches, activations and what is read twice are not in it.",
        read: Read::Number(|figures| figures.compute.bytes_read_decode),
        beside: &[],
        why_null: Some(types_unknown),
    },
    Metric {
        name: "bytes_per_token",
        group: Group::Compute,
        unit: "B/token",
        better: Better::Neither,
        headline: None,
        about: "What one more token has to read, bytes; an estimate.",
        description: "`bytes_read_decode` for each token of a decode step: what one more token has to read.",
        formula: None,
        source: "The types and shapes of the weights in the model's files, over each request's own lengths.",
        limits: "A lower bound: caches, activations and what is read twice are not in it.",
        read: Read::Number(|figures| figures.compute.bytes_per_token),
        beside: &[],
        why_null: Some(no_decode_step),
    },
    Metric {
        name: "arithmetic_intensity",
        group: Group::Compute,
        unit: "FLOP/B",
        better: Better::Neither,
        headline: None,
        about: "`flops_total` / `bytes_read_total`, FLOP/byte.",
        description: "`flops_total` / `bytes_read_total`, FLOP/byte.",
        formula: Some("`flops_total` / `bytes_read_total`"),
        source: "Computed from the figures of its formula.",
        limits: "Of counted FLOPs and estimated bytes, no measurement.",
        read: Read::Number(|figures| figures.compute.arithmetic_intensity),
        beside: &[],
        why_null: Some(missing_part),
    },
    Metric {
        name: "roofline",
        group: Group::Compute,
        unit: "",
        better: Better::Neither,
        headline: None,
        about: "What of the devices' peaks was reached.",
        description: "What of the devices' peaks was reached; null where a peak is not known.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs and for devices or precisions without a published peak; says nothing of the cause of what \
            was not reached.",
        read: Read::Object(|figures| figures.compute.roofline.is_some()),
        beside: &[],
        why_null: Some(no_peaks),
    },
];

fn uncounted(_: &Known<'_>) -> Cow<'static, str> {
    "the model's FLOPs could not be counted".into()
}

fn operators_unknown(_: &Known<'_>) -> Cow<'static, str> {
    "the model's operators are not known".into()
}

fn types_unknown(_: &Known<'_>) -> Cow<'static, str> {
    "the types of the model's weights are not known".into()
}

fn no_decode_step(known: &Known<'_>) -> Cow<'static, str> {
    match known.figures.compute.bytes_read_decode {
        Some(_) => "no request has a decode step".into(),
        None => "bytes_read_decode is unknown".into(),
    }
}

fn no_peaks(known: &Known<'_>) -> Cow<'static, str> {
    if known.spec.gpus.is_empty() {
        "no peak rates of this CPU are known".into()
    } else {
        "no peak rates of these devices at this precision are known".into()
    }
}
