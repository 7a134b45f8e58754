//! Every property holds for every file of the fuzzer's corpus, and every fuzz target, property and
//! corpus goes by the name of the others.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use hostile::PROPERTIES;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut entries: Vec<_> = entries
        .map(|entry| entry.expect("entries are readable").path())
        .collect();
    entries.sort();
    entries
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = entries(&fuzz().join(folder));
    let name = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    entries.iter().map(name).collect()
}

#[test]
fn targets_corpora_and_properties_have_the_same_names() {
    let properties: BTreeSet<_> = PROPERTIES
        .iter()
        .map(|(own, _)| (*own).to_owned())
        .collect();
    assert_eq!(properties.len(), PROPERTIES.len());
    assert_eq!(names("fuzz_targets"), properties);
    assert_eq!(names("corpus"), properties);
}

#[test]
fn every_property_holds_for_its_corpus() {
    let mut broken = Vec::new();
    for (name, property) in PROPERTIES {
        let files = entries(&fuzz().join("corpus").join(name));
        assert!(files.len() >= 3, "{name} has {} files", files.len());
        for file in files {
            let bytes = fs::read(&file).unwrap();
            if catch_unwind(AssertUnwindSafe(|| property(&bytes))).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
