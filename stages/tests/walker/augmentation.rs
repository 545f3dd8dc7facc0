//! The augmentation that a case records: operations with their draws, class by class.

use super::Case;
use ddpipe_nn::augment::{Operation, Settings};
use ddpipe_stages::distill::synthesis::ClassAugmentation;

/// The recorded augmentation of every class; none where the case has none.
pub fn of_classes(case: &Case) -> ClassAugmentation {
    let classes = case.integer("num_classes");
    if !case.has("dsa") {
        return ClassAugmentation::none(classes);
    }
    let settings: Settings = serde_json::from_value(case.value("dsa_parameters").clone()).unwrap();
    let mut operations = vec![Vec::new(); classes as usize];
    for class in case.list("dsa") {
        let recorded: Vec<Operation> = serde_json::from_value(class["operations"].clone()).unwrap();
        operations[class["class"].as_u64().unwrap() as usize] = recorded;
    }
    ClassAugmentation::new(operations, settings)
}
