//! Reads Prometheus' text format and refuses what is not of it: a family told twice, a sample without its family, a label
//! that is not quoted, a histogram whose buckets fall.

use std::collections::BTreeMap;

pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Default)]
pub struct Exposition {
    /// Type and help by family.
    families: BTreeMap<String, (String, String)>,
    samples: Vec<(String, Labels, f64)>,
}

impl Exposition {
    /// The one sample whose labels hold all of `labels`.
    pub fn one(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let holds = |of: &Labels| {
            labels
                .iter()
                .all(|(name, value)| of.get(*name).is_some_and(|is| is == value))
        };
        let found: Vec<_> = self
            .samples
            .iter()
            .filter(|(of, all, _)| of == name && holds(all))
            .collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
        found[0].2
    }

    pub fn labels_of(&self, name: &str) -> Vec<Labels> {
        let of = self.samples.iter().filter(|(of, ..)| of == name);
        of.map(|(_, labels, _)| labels.clone()).collect()
    }

    pub fn families(&self) -> impl Iterator<Item = (&str, &str)> {
        self.families
            .iter()
            .map(|(name, (_, help))| (name.as_str(), help.as_str()))
    }

    fn family_of(&self, sample: &str) -> Option<&str> {
        if let Some((name, _)) = self.families.get_key_value(sample) {
            return Some(name);
        }
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| sample.strip_suffix(suffix))?;
        let (name, (kind, _)) = self.families.get_key_value(base)?;
        (kind == "histogram").then_some(name)
    }
}

pub fn read(text: &str) -> Exposition {
    let mut exposition = Exposition::default();
    let mut help: Option<(String, String)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, told) = rest.split_once(' ').expect("a help");
            help = Some((name.to_owned(), told.to_owned()));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let (of, told) = help.take().expect("help comes before the type");
            assert_eq!(of, name);
            let before = exposition.families.insert(name.to_owned(), (kind.to_owned(), told));
            assert!(before.is_none(), "{name} is told twice");
        } else if !line.starts_with('#') {
            let (name, labels, value) = sample(line);
            assert!(exposition.family_of(&name).is_some(), "no family for: {line}");
            exposition.samples.push((name, labels, value));
        }
    }
    buckets_grow(&exposition);
    exposition
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (head, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let Some((name, rest)) = head.split_once('{') else {
        return (head.to_owned(), Labels::new(), value);
    };
    let mut rest = rest
        .strip_suffix('}')
        .unwrap_or_else(|| panic!("labels do not end: {line}"));
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("not quoted: {line}"));
        let end = (0..after.len())
            .find(|&at| after.as_bytes()[at] == b'"' && (at == 0 || after.as_bytes()[at - 1] != b'\\'))
            .unwrap_or_else(|| panic!("the quote does not end: {line}"));
        let before = labels.insert(label.to_owned(), after[..end].to_owned());
        assert!(before.is_none(), "{label} twice: {line}");
        rest = after[end + 1..].trim_start_matches(',');
    }
    (name.to_owned(), labels, value)
}

fn buckets_grow(exposition: &Exposition) {
    let mut last: Option<(&str, Labels, f64)> = None;
    for (name, labels, value) in exposition.samples.iter().filter(|(name, ..)| name.ends_with("_bucket")) {
        let mut series = labels.clone();
        assert!(series.remove("le").is_some(), "{name} without le");
        if let Some((of, before, count)) = &last
            && *of == name
            && *before == series
        {
            assert!(value >= count, "{name} {labels:?} falls");
        }
        last = Some((name, series, *value));
    }
}
