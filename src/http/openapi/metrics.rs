//! Descriptions of a result's metrics, taken from the table of metrics.

use joulemark_analysis::metrics::{Group, Metric};
use utoipa::openapi::{OpenApi as Document, RefOr, Schema};

/// Sets the description of each metric of a result from the table of metrics.
pub fn describe(document: &mut Document, metrics: &[Metric]) {
    let Some(components) = &mut document.components else {
        return;
    };
    for metric in metrics {
        if let Some(RefOr::T(Schema::Object(group))) = components.schemas.get_mut(schema_of(metric.group))
            && let Some(property) = group.properties.get_mut(metric.name)
        {
            put(property, metric.description);
        }
    }
}

/// Returns the schema that contains the metrics of a group.
fn schema_of(group: Group) -> &'static str {
    match group {
        Group::Inference => "InferenceMetrics",
        Group::Energy(_) => "EnergyMetrics",
        Group::Compute => "ComputeMetrics",
        Group::Roofline => "Roofline",
        Group::Efficiency => "EfficiencyMetrics",
    }
}

/// Sets the description of a property; if it is a type or null, that of the type.
fn put(property: &mut RefOr<Schema>, description: &str) {
    match property {
        RefOr::Ref(reference) => description.clone_into(&mut reference.description),
        RefOr::T(Schema::Object(object)) => object.description = Some(description.to_owned()),
        RefOr::T(Schema::OneOf(choice)) => {
            let mut items = choice.items.iter_mut();
            if let Some(named) = items.find(|item| matches!(item, RefOr::Ref(_))) {
                put(named, description);
            }
        }
        RefOr::T(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use joulemark_analysis::metrics::{all, find};
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_metric_is_a_key_of_its_schema_and_described_by_the_table() {
        let document = crate::http::document();
        for metric in all() {
            let property = &document["components"]["schemas"][schema_of(metric.group)]["properties"][metric.name];
            let named = property["oneOf"].as_array().into_iter().flatten();
            let described: Vec<&Value> = [property].into_iter().chain(named).collect();
            let description = described.iter().find_map(|part| part["description"].as_str());
            assert_eq!(description, Some(metric.description), "{}", metric.name);
        }
    }

    #[test]
    fn descriptions_of_metrics_are_those_of_the_table() {
        let mut document = crate::http::routes().split_for_parts().1;
        let metric = Metric {
            description: "What a test says of it.",
            ..*find(all(), "cpu_time_share").expect("a metric")
        };
        describe(&mut document, &[metric]);
        let text = document.to_json().expect("a document");
        assert!(text.contains(metric.description));
    }
}
