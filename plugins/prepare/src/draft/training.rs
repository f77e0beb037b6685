//! The stages behind `prepare`: what is learned from the dataset, and how it is measured.

use crate::draft::plan::Plan;
use crate::draft::yaml::{Flow, Yaml};

pub fn pretrain(yaml: &mut Yaml, plan: &Plan) {
    yaml.map_noted("pretrain", "an encoder, learned without labels", |yaml| {
        yaml.entry("uses", &Flow::text("pretrain"));
        yaml.entry(
            "inputs",
            &Flow::map([("dataset", Flow::text("prepare.dataset"))]),
        );
        yaml.map("with", |yaml| {
            model(yaml, plan);
            let predicted = plan.predicted().into_iter().map(Flow::Text).collect();
            yaml.noted(
                "predict",
                &Flow::List(predicted),
                "the channels that are masked and predicted",
            );
            if plan.ties {
                yaml.noted(
                    "mask",
                    &Flow::text("visit"),
                    "rows of one time betray each other",
                );
            }
            yaml.entry("max_steps", &Flow::raw(plan.sizes.pretrain_steps));
            optimizer(yaml, plan);
        });
    });
}

pub fn finetune(yaml: &mut Yaml, plan: &Plan) {
    yaml.map_noted(
        "finetune",
        "a tower for each task on that encoder",
        |yaml| {
            yaml.entry("uses", &Flow::text("finetune"));
            let inputs = [
                ("dataset", Flow::text("prepare.dataset")),
                ("encoder", Flow::text("pretrain.encoder")),
            ];
            yaml.entry("inputs", &Flow::map(inputs));
            yaml.map("with", |yaml| {
                model(yaml, plan);
                yaml.entry("epochs", &Flow::raw(plan.sizes.epochs));
                optimizer(yaml, plan);
            });
        },
    );
}

pub fn export(yaml: &mut Yaml) {
    yaml.map_noted("export", "embeddings of all samples", |yaml| {
        yaml.entry("uses", &Flow::text("export"));
        let inputs = [
            ("dataset", Flow::text("prepare.dataset")),
            ("model", Flow::text("finetune.model")),
        ];
        yaml.entry("inputs", &Flow::map(inputs));
    });
}

pub fn evaluate(yaml: &mut Yaml) {
    yaml.map_noted("evaluate", "metrics on the test split", |yaml| {
        yaml.entry("uses", &Flow::text("evaluate"));
        let predictions = Flow::text("finetune.predictions");
        yaml.entry("inputs", &Flow::map([("predictions", predictions)]));
    });
}

fn model(yaml: &mut Yaml, plan: &Plan) {
    let sizes = &plan.sizes;
    let supermoe = Flow::map([
        ("layers", Flow::raw(sizes.layers)),
        ("heads", Flow::raw(sizes.heads)),
        ("d_ff", Flow::raw(sizes.d_ff)),
        ("experts", Flow::raw(sizes.experts)),
        ("id_width", Flow::raw(sizes.id_width)),
        ("category_width", Flow::raw(sizes.category_width)),
    ]);
    yaml.entry("model", &Flow::text("supermoe"));
    yaml.entry("models", &Flow::map([("supermoe", supermoe)]));
    yaml.entry("d_model", &Flow::Expression("params.d_model"));
    yaml.entry("seed", &Flow::Expression("params.seed"));
    yaml.entry("batch_size", &Flow::raw(sizes.batch_size));
}

fn optimizer(yaml: &mut Yaml, plan: &Plan) {
    let rate = Flow::Expression("params.learning_rate");
    let optimizer = [
        ("learning_rate", rate),
        ("warmup_steps", Flow::raw(plan.sizes.warmup_steps)),
    ];
    yaml.entry("optimizer", &Flow::map(optimizer));
}
