//! Parameters and optimizer state in files: round trips, the same bytes, and files that do not fit.

mod model;

use std::num::NonZeroUsize;

use model::{Batch, Model};
use supermoe_nn::optim::LearningRates;
use supermoe_nn::parameters::metadata;
use supermoe_nn::tables::{RowOptimizer, RowUpdates, TableSettings, UpdateWorker};
use supermoe_nn::{Error, Group};

const ALL: [Group; 3] = [Group::Encoder, Group::Towers, Group::Tables];

fn trained(steps: u64) -> Model {
    let mut model = Model::new(3);
    for step in 0..steps {
        model
            .step(&Batch::new(step as u32), step, &LearningRates::all(1e-3))
            .unwrap();
    }
    model
}

#[test]
fn training_goes_on_from_files_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, state) = (folder.path().join("weights"), folder.path().join("state"));
    let mut model = trained(2);
    model
        .parameters
        .save(&weights, &ALL, &[&model.table], "{}")
        .unwrap();
    model.optimizer.save(&state, &[&model.table]).unwrap();

    let mut other = Model::new(4);
    let skipped = other
        .parameters
        .load(&weights, &ALL, &mut [&mut other.table])
        .unwrap();
    assert!(skipped.tensors.is_empty());
    other
        .optimizer
        .load(&state, &other.parameters, &mut [&mut other.table])
        .unwrap();
    for model in [&mut model, &mut other] {
        model
            .step(&Batch::new(9), 9, &LearningRates::all(1e-3))
            .unwrap();
    }
    assert!(model.bits() == other.bits());
    assert_eq!(model.scores(&Batch::new(5)), other.scores(&Batch::new(5)));
}

/// With updates of the table that no step has seen yet: they are in the file of the optimizer.
#[test]
fn training_goes_on_from_files_with_updates_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, state) = (folder.path().join("weights"), folder.path().join("state"));
    let late = |seed| {
        let settings = TableSettings {
            updates: RowUpdates::Delayed {
                delay: NonZeroUsize::new(3).unwrap(),
                worker: UpdateWorker::new().unwrap(),
            },
            ..RowOptimizer::LazyAdam.into()
        };
        Model::with_table(settings, seed)
    };
    let rates = LearningRates::all(1e-3);
    for steps in [1, 2, 6] {
        let mut model = late(3);
        for step in 0..steps {
            model.step(&Batch::new(step as u32), step, &rates).unwrap();
        }
        model
            .parameters
            .save(&weights, &ALL, &[&model.table], "{}")
            .unwrap();
        model.optimizer.save(&state, &[&model.table]).unwrap();
        let mut other = late(4);
        other
            .parameters
            .load(&weights, &ALL, &mut [&mut other.table])
            .unwrap();
        other
            .optimizer
            .load(&state, &other.parameters, &mut [&mut other.table])
            .unwrap();
        for model in [&mut model, &mut other] {
            for step in steps..steps + 5 {
                model.step(&Batch::new(step as u32), step, &rates).unwrap();
            }
            model.table.settle().unwrap();
        }
        assert!(model.bits() == other.bits(), "after {steps} steps");
    }
}

#[test]
fn the_same_values_are_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |name: &str| {
        let model = trained(1);
        let (weights, state) = (
            folder.path().join(name),
            folder.path().join(format!("{name} state")),
        );
        model
            .parameters
            .save(&weights, &ALL, &[&model.table], r#"{"width": 32}"#)
            .unwrap();
        model.optimizer.save(&state, &[&model.table]).unwrap();
        assert_eq!(metadata(&weights).unwrap(), r#"{"width": 32}"#);
        (
            std::fs::read(weights).unwrap(),
            std::fs::read(state).unwrap(),
        )
    };
    assert!(bytes("a") == bytes("b"));
}

#[test]
fn an_encoder_alone_is_loaded_under_new_towers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder");
    let model = trained(1);
    model
        .parameters
        .save(&path, &[Group::Encoder, Group::Tables], &[&model.table], "")
        .unwrap();
    let mut other = Model::new(4);
    let tower = other.parameters.by_name("tower.weight").unwrap().read();
    other
        .parameters
        .load(
            &path,
            &[Group::Encoder, Group::Tables],
            &mut [&mut other.table],
        )
        .unwrap();
    assert_eq!(
        other.parameters.by_name("tower.weight").unwrap().read(),
        tower
    );
    assert_eq!(
        other
            .parameters
            .by_name("block.1.ffn.0.inner")
            .unwrap()
            .read(),
        model
            .parameters
            .by_name("block.1.ffn.0.inner")
            .unwrap()
            .read()
    );
    let error = other.parameters.load(&path, &ALL, &mut []).unwrap_err();
    assert!(matches!(error, Error::MissingTensor { name, .. } if name == "tower.weight"));
    let skipped = other
        .parameters
        .load(&path, &[Group::Encoder, Group::Tables], &mut [])
        .unwrap();
    assert_eq!(skipped.tensors, ["item"]);
}

#[test]
fn tables_are_of_a_group_as_parameters_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder");
    let mut model = trained(1);
    let dim = 4;
    let adam = RowOptimizer::LazyAdam;
    let mut head = supermoe_nn::Table::new("head", 6, dim, 1.0, adam, 1)
        .unwrap()
        .in_group(Group::Towers);
    let encoder = [Group::Encoder, Group::Tables];
    let names = |groups: &[Group]| {
        let tables = [&model.table, &head];
        model.parameters.save(&path, groups, &tables, "").unwrap();
        let mut none = supermoe_nn::Parameters::new(supermoe_nn::Cpu::default(), 0);
        none.load(&path, &[], &mut []).unwrap().tensors
    };
    let of_all = names(&ALL);
    assert!(of_all.contains(&"head".to_owned()) && of_all.contains(&"item".to_owned()));
    let of_encoder = names(&encoder);
    assert!(!of_encoder.contains(&"head".to_owned()) && of_encoder.contains(&"item".to_owned()));
    // What is not of the groups is neither asked of the file nor changed.
    let before = head.snapshot().unwrap();
    let mut tables = [&mut model.table, &mut head];
    model.parameters.load(&path, &encoder, &mut tables).unwrap();
    assert_eq!(head.snapshot().unwrap(), before);
}

#[test]
fn files_that_do_not_fit_are_errors_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let mut model = trained(1);
    model
        .parameters
        .save(&path, &ALL, &[&model.table], "")
        .unwrap();
    let whole = std::fs::read(&path).unwrap();
    let before = model.bits();
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = model
            .parameters
            .load(&path, &ALL, &mut [&mut model.table])
            .unwrap_err();
        assert!(
            matches!(error, Error::Damaged { .. }),
            "{length} bytes: {error}"
        );
        let state = model.optimizer.load(&path, &model.parameters, &mut []);
        assert!(matches!(state, Err(Error::Damaged { .. })));
    }
    let error = model
        .parameters
        .load(&folder.path().join("none"), &ALL, &mut [])
        .unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");

    // A file whose tower has another shape: the last parameter, so the others come first.
    let mut other = supermoe_nn::Parameters::new(supermoe_nn::Cpu::default(), 0);
    for parameter in model.parameters.iter() {
        let count = parameter.count();
        let shape = if parameter.name() == "tower.bias" {
            count + 1
        } else {
            count
        };
        let initial = supermoe_nn::parameters::Initial::Constant(0.5);
        match *parameter.shape() {
            [_] => drop(
                other
                    .add(parameter.name(), parameter.group(), (shape,), initial)
                    .unwrap(),
            ),
            [a, b] => drop(
                other
                    .add(parameter.name(), parameter.group(), (a, b), initial)
                    .unwrap(),
            ),
            [a, b, c] => drop(
                other
                    .add(parameter.name(), parameter.group(), (a, b, c), initial)
                    .unwrap(),
            ),
            _ => panic!("a parameter has one to three sizes"),
        }
    }
    other.save(&path, &ALL, &[], "").unwrap();
    let error = model.parameters.load(&path, &ALL, &mut []).unwrap_err();
    let expected = format!(
        "{}: tensor \"tower.bias\" must be f32 [1], but is F32 [2]",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(model.bits() == before);
}
