//! One level of customised gate control: experts of each task, shared experts, a gate for each.

use supermoe_nn::layers::{Mlp, SoftmaxGate};
use supermoe_nn::{Device, Error, Group, Matrix, Parameters, Tape};

use crate::params::PleParams;

/// See the module.
pub struct Level {
    shared: Vec<Mlp>,
    tasks: Vec<TaskExperts>,
    /// Over the experts of all tasks, then the shared ones; the last level has none.
    shared_gate: Option<SoftmaxGate>,
}

struct TaskExperts {
    experts: Vec<Mlp>,
    /// Over the task's own experts, then the shared ones.
    gate: SoftmaxGate,
}

/// What goes from level to level.
pub struct Stream<D: Device> {
    /// By task. [B, width]
    pub tasks: Vec<Matrix<D>>,
    /// Of what all share; none after the last level. [B, width]
    pub shared: Option<Matrix<D>>,
}

/// Where a level stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Inner,
    Last,
}

impl Level {
    /// Adds `{name}.shared.{i}`, `{name}.task.{task}.{i}`, `{name}.gate.{task}`, and unless it is the last
    /// `{name}.shared_gate`, for inputs of this width.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        tasks: &[&str],
        inputs: usize,
        width: usize,
        params: &PleParams,
        place: Place,
    ) -> Result<Level, Error> {
        let mut experts = |name: String, group: Group, count: usize| {
            let widths = [inputs, params.d_ff, width];
            let expert = |i: usize| Mlp::new(parameters, &format!("{name}.{i}"), group, &widths);
            (0..count).map(expert).collect::<Result<Vec<Mlp>, Error>>()
        };
        let shared = experts(
            format!("{name}.shared"),
            Group::Encoder,
            params.shared_experts,
        )?;
        let mut of_tasks = Vec::new();
        for task in tasks {
            let name = format!("{name}.task.{task}");
            of_tasks.push(experts(name, Group::Towers, params.task_experts)?);
        }
        let mut own = Vec::new();
        for (task, experts) in tasks.iter().zip(of_tasks) {
            let gate = format!("{name}.gate.{task}");
            let count = params.task_experts + params.shared_experts;
            let gate = SoftmaxGate::new(parameters, &gate, Group::Towers, inputs, count)?;
            own.push(TaskExperts { experts, gate });
        }
        let shared_gate = match place {
            Place::Last => None,
            Place::Inner => {
                let gate = format!("{name}.shared_gate");
                let count = tasks.len() * params.task_experts + params.shared_experts;
                let group = Group::Encoder;
                Some(SoftmaxGate::new(parameters, &gate, group, inputs, count)?)
            }
        };
        Ok(Level {
            shared,
            tasks: own,
            shared_gate,
        })
    }

    /// From the stream before this level to the one after it.
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        before: &[Matrix<D>],
        shared_before: &Matrix<D>,
        tape: &mut T,
    ) -> Result<Stream<D>, Error> {
        let run = |experts: &[Mlp], x: &Matrix<D>, tape: &mut T| {
            let results = experts
                .iter()
                .map(|expert| expert.forward(parameters, x, tape));
            results.collect::<Result<Vec<Matrix<D>>, Error>>()
        };
        let shared = run(&self.shared, shared_before, tape)?;
        let mut own = Vec::new();
        for (task, x) in self.tasks.iter().zip(before) {
            own.push(run(&task.experts, x, tape)?);
        }
        let mut tasks = Vec::new();
        for ((task, x), own) in self.tasks.iter().zip(before).zip(&own) {
            let results: Vec<&Matrix<D>> = own.iter().chain(&shared).collect();
            tasks.push(task.gate.forward(parameters, x, &results, tape)?);
        }
        let shared = match &self.shared_gate {
            None => None,
            Some(gate) => {
                let results: Vec<&Matrix<D>> = own.iter().flatten().chain(&shared).collect();
                Some(gate.forward(parameters, shared_before, &results, tape)?)
            }
        };
        Ok(Stream { tasks, shared })
    }
}
