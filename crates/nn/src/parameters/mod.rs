//! Named parameters of a model: kept in one place, so that layers are plain descriptions and optimizers
//! and files see every parameter.

mod file;
mod initial;

use std::collections::HashMap;
use std::marker::PhantomData;

use dfdx::shapes::Shape;
use dfdx::tensor::Gradients;

pub use file::{Skipped, metadata};
pub(crate) use file::{StoredTensor, bytes_of, fill_rows, read_tensors, values_of, write_tensors};
pub use initial::Initial;
pub(crate) use initial::key_of;

use crate::ops::buffers::Buffer;
use crate::ops::vectors::move_towards;
use crate::tensors::{Tensor, tensor};
use crate::{Device, Error};

/// Which learning rate, and which part of a file, a parameter belongs to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The encoder without its tables.
    Encoder,
    /// What is on top of the encoder: pre-training heads and task towers.
    Towers,
    /// Embedding tables of categories and ids.
    Tables,
}

/// Names one parameter of the [`Parameters`] that gave it out; `S` is its shape's type.
#[derive(Debug)]
pub struct Handle<S> {
    index: usize,
    shape: PhantomData<fn() -> S>,
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Handle<S> {}

/// A bias or a scale, `[length]`.
pub type VectorHandle = Handle<(usize,)>;
/// A weight matrix, [rows, columns].
pub type MatrixHandle = Handle<(usize, usize)>;
/// The weight matrices of a mixture, [experts, rows, columns].
pub type CubeHandle = Handle<(usize, usize, usize)>;

/// The shapes that a parameter can have: 1 to 3 sizes.
pub trait ParameterShape: Shape + Default + sealed::Sealed {
    #[doc(hidden)]
    fn wrap<D: Device>(tensor: Tensor<Self, D>) -> Value<D>;
    #[doc(hidden)]
    fn unwrap<D: Device>(value: &Value<D>) -> Option<&Tensor<Self, D>>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for (usize,) {}
    impl Sealed for (usize, usize) {}
    impl Sealed for (usize, usize, usize) {}
}

#[doc(hidden)]
pub enum Value<D: Device> {
    Vector(Tensor<(usize,), D>),
    Matrix(Tensor<(usize, usize), D>),
    Cube(Tensor<(usize, usize, usize), D>),
}

macro_rules! parameter_shape {
    ($shape:ty, $variant:ident) => {
        impl ParameterShape for $shape {
            fn wrap<D: Device>(tensor: Tensor<Self, D>) -> Value<D> {
                Value::$variant(tensor)
            }
            fn unwrap<D: Device>(value: &Value<D>) -> Option<&Tensor<Self, D>> {
                match value {
                    Value::$variant(tensor) => Some(tensor),
                    _ => None,
                }
            }
        }
    };
}
parameter_shape!((usize,), Vector);
parameter_shape!((usize, usize), Matrix);
parameter_shape!((usize, usize, usize), Cube);

/// One parameter.
pub struct Parameter<D: Device> {
    name: String,
    group: Group,
    shape: Vec<usize>,
    pub(crate) value: Value<D>,
}

impl<D: Device> Parameter<D> {
    /// Its name, as in files: `block.0.attention.qkv.weight`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its group.
    pub fn group(&self) -> Group {
        self.group
    }

    /// Its sizes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its values in host memory, row-major.
    pub fn read(&self) -> Vec<f32> {
        match &self.value {
            Value::Vector(tensor) => D::read(tensor),
            Value::Matrix(tensor) => D::read(tensor),
            Value::Cube(tensor) => D::read(tensor),
        }
    }

    pub(crate) fn update(&mut self, change: impl FnOnce(&mut [f32])) {
        match &mut self.value {
            Value::Vector(tensor) => D::update(tensor, change),
            Value::Matrix(tensor) => D::update(tensor, change),
            Value::Cube(tensor) => D::update(tensor, change),
        }
    }

    pub(crate) fn take_gradient(&self, gradients: &mut Gradients<f32, D>) -> Result<Buffer, Error> {
        match &self.value {
            Value::Vector(tensor) => D::take_gradient(gradients, tensor),
            Value::Matrix(tensor) => D::take_gradient(gradients, tensor),
            Value::Cube(tensor) => D::take_gradient(gradients, tensor),
        }
    }

    fn write(&mut self, values: &[f32]) {
        self.update(|own| own.copy_from_slice(values));
    }
}

/// All parameters of a model on one device, in the order in which they were added.
pub struct Parameters<D: Device> {
    device: D,
    seed: u64,
    entries: Vec<Parameter<D>>,
    by_name: HashMap<String, usize>,
    /// Whether the values of what is added are made.
    holds: Holds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Values,
    Sizes,
}

impl<D: Device> Parameters<D> {
    /// None yet. Initial values depend on the seed and on each parameter's name only, not on the others.
    pub fn new(device: D, seed: u64) -> Self {
        Self {
            device,
            seed,
            entries: Vec::new(),
            by_name: HashMap::new(),
            holds: Holds::Values,
        }
    }

    /// None yet; what is added has a name and a shape and no values, to learn how large a model is that may not
    /// fit into memory.
    pub fn of_sizes(device: D) -> Self {
        Self {
            holds: Holds::Sizes,
            ..Self::new(device, 0)
        }
    }

    /// Whether it was made by [`Self::of_sizes`].
    pub fn has_sizes_alone(&self) -> bool {
        self.holds == Holds::Sizes
    }

    /// The device of the parameters.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The seed of initial values.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds a parameter; an error if the name is taken.
    pub fn add<S: ParameterShape>(
        &mut self,
        name: impl Into<String>,
        group: Group,
        shape: S,
        initial: Initial,
    ) -> Result<Handle<S>, Error> {
        let name = name.into();
        if self.by_name.contains_key(&name) {
            return Err(Error::DuplicateParameter { name });
        }
        let value = match self.holds {
            Holds::Values => {
                let values = initial.values(shape.num_elements(), key_of(self.seed, &name));
                S::wrap(tensor(&self.device, values, shape)?)
            }
            Holds::Sizes => S::wrap(tensor(&self.device, Vec::new(), S::default())?),
        };
        let sizes = shape.concrete().into_iter().collect();
        let index = self.entries.len();
        self.by_name.insert(name.clone(), index);
        self.entries.push(Parameter {
            name,
            group,
            shape: sizes,
            value,
        });
        Ok(Handle {
            index,
            shape: PhantomData,
        })
    }

    /// The parameter of a handle.
    ///
    /// # Panics
    /// If the handle is of other `Parameters`.
    pub fn get<S: ParameterShape>(&self, handle: Handle<S>) -> &Tensor<S, D> {
        self.entries
            .get(handle.index)
            .and_then(|parameter| S::unwrap(&parameter.value))
            .expect("a handle is used with the parameters that gave it out")
    }

    /// All parameters, in the order in which they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter<D>> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Parameter<D>> {
        self.entries.iter_mut()
    }

    /// The parameter of a name.
    pub fn by_name(&self, name: &str) -> Option<&Parameter<D>> {
        self.by_name.get(name).map(|&index| &self.entries[index])
    }

    /// Number of values of all parameters.
    pub fn count(&self) -> usize {
        self.entries.iter().map(Parameter::count).sum()
    }

    /// A copy of all values, in order: to keep the best weights.
    pub fn snapshot(&self) -> Vec<Vec<f32>> {
        self.entries.iter().map(Parameter::read).collect()
    }

    /// Moves what [`Parameters::snapshot`] gave towards the values of now, by this share of the way: with 1/n at
    /// the n-th call it becomes their mean.
    pub fn move_snapshot(&self, snapshot: &mut [Vec<f32>], share: f32) {
        for (entry, values) in self.entries.iter().zip(snapshot) {
            move_towards(values, &entry.read(), share);
        }
    }

    /// Puts back what [`Parameters::snapshot`] gave; an error if parameters were added since.
    pub fn restore(&mut self, snapshot: &[Vec<f32>]) -> Result<(), Error> {
        let fits = snapshot.len() == self.entries.len()
            && snapshot
                .iter()
                .zip(&self.entries)
                .all(|(values, entry)| values.len() == entry.count());
        if !fits {
            return Err(Error::value(
                "restore",
                "snapshot",
                "of these parameters",
                "of others",
            ));
        }
        for (entry, values) in self.entries.iter_mut().zip(snapshot) {
            entry.write(values);
        }
        Ok(())
    }

    /// Sets the values of one parameter; an error if there is none of that name or their number differs.
    pub fn set(&mut self, name: &str, values: &[f32]) -> Result<(), Error> {
        let Some(&index) = self.by_name.get(name) else {
            return Err(Error::value("set", "name", "that of a parameter", name));
        };
        let entry = &mut self.entries[index];
        if entry.count() != values.len() {
            return Err(Error::value(
                "set",
                "number of values",
                entry.count().to_string(),
                values.len(),
            ));
        }
        entry.write(values);
        Ok(())
    }
}
