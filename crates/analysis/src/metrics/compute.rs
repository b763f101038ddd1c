use std::borrow::Cow;

use super::metric::{Better, Group, Known, Metric, Read};
use super::reasons::missing_part;

/// Metrics of FLOPs and bytes.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "flops_total",
        group: Group::Compute,
        unit: "FLOP",
        better: Better::Neither,
        headline: Some(9),
        about: "FLOPs of the matrix products of all tokens, 2 for each multiply-add.",
        description: "FLOPs of the matrix products, 2 for each multiply-add, over each request's own lengths. \
            Attention counts the full T × S matrix of new tokens and cached keys, and prefill counts the logits of the \
            last position only, as PyTorch's FlopCounterMode does.",
        formula: None,
        source: "The shape of every operator in the model's files, counted over each request's own lengths.",
        limits: "Counts what the model requires, not what the device executed. `flops_confidence` says how well \
            the model is known.",
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
        source: "The shape of every operator in the model's files, counted over each request's own lengths.",
        limits: "Counts what the model requires, not what the device executed. `flops_confidence` says how well \
            the model is known.",
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
        about: "The decode steps' part of `flops_total`, FLOPs.",
        description: "The decode steps' part of `flops_total`.",
        formula: None,
        source: "The shape of every operator in the model's files, counted over each request's own lengths.",
        limits: "Counts what the model requires, not what the device executed. `flops_confidence` says how well \
            the model is known.",
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
        about: "`flops_total` without the masked pairs of causal attention, FLOPs.",
        description: "`flops_total` with only those pairs of attention whose key is not later than the query.",
        formula: None,
        source: "The shape of every operator in the model's files, counted over each request's own lengths.",
        limits: "The work of a kernel that skips masked pairs. It is unknown whether the engine has such a kernel.",
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
        about: "FLOPs of the elementwise operators; not part of `flops_total`.",
        description: "FLOPs of norms, softmax, activations, rotary embedding and sums, one for each operation; not \
            part of `flops_total`.",
        formula: None,
        source: "The shape of every operator in the model's files, counted over each request's own lengths.",
        limits: "Every operation counts as one FLOP, even an exponential.",
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
        limits: "Those of `flops_total`.",
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
        about: "2 × parameters × tokens, FLOPs: a common approximation.",
        description: "The common approximation: 2 × active parameters of a token × input and output tokens.",
        formula: None,
        source: "The parameters in the model's files, and the token counts.",
        limits: "Leaves out attention, whose FLOPs grow with the square of the length.",
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
        description: "`flops_total` / `inference_time_sec`, FLOP/s, for one rank; `flops_total` / `duration_sec` \
            for a cycle and for the whole experiment.",
        formula: Some("`flops_total` / `duration_sec`"),
        source: "Computed from the figures of its formula.",
        limits: "A rate of counted FLOPs: the device may have executed more.",
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
        about: "Method of the count: `traced`, `architecture` or `parameter_estimate`.",
        description: "Method by which FLOPs were counted: `traced`, `architecture` or `parameter_estimate`; null \
            when nothing could be counted.",
        formula: None,
        source: "The best method that the model's files allow.",
        limits: "Names the method of the count, not its error.",
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
        about: "Confidence in the count: `high`, `medium` or `low`.",
        description: "Confidence in the count: at best `high` for `traced`, `medium` for `architecture` and `low` \
            for `parameter_estimate`.",
        formula: None,
        source: "`flops_method`, and how far the model's files differ from its operators.",
        limits: "A word for how well the model is known, not an interval.",
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
        about: "Minimum of bytes read for weights, keys and values; an estimate.",
        description: "Minimum number of bytes of weights, keys and values that the passes have to read: in each \
            pass the weights once, in their stored types, and for each sequence its cache once. An estimate of the \
            traffic, not a measurement.",
        formula: None,
        source: "The types and shapes of the weights in the model's files, over each request's own lengths.",
        limits: "A lower bound: activations, and data that is read more than once, are not included.",
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
        limits: "A lower bound: activations, and data that is read more than once, are not included.",
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
        about: "Bytes that each additional token has to read; an estimate.",
        description: "`bytes_read_decode` divided by the tokens of decode steps: the bytes that each additional \
            token has to read.",
        formula: None,
        source: "The types and shapes of the weights in the model's files, over each request's own lengths.",
        limits: "A lower bound: activations, and data that is read more than once, are not included.",
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
        limits: "A ratio of counted FLOPs to estimated bytes, not a measurement.",
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
        about: "The share of the devices' peak rates that was reached.",
        description: "The share of the devices' peak rates that was reached; null where a peak is unknown.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs, and for devices or precisions without a published peak. It does not show why a \
            peak was not reached.",
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
