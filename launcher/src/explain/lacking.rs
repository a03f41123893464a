//! What remains of a line's controls on a host that lacks a layer.

use policies::carriers::{Carriage, Control};
use serde::Serialize;

use super::{absent, layer_of};
use crate::plan::layer::Layer;
use crate::plan::Plan;

/// A layer that a host may lack, and what holds the line then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// The layer's name, as after `--without`.
    pub layer: &'static str,
    /// The controls that remain, strongest first; empty if nothing does.
    pub remaining: Vec<String>,
}

/// For each layer that one of the controls belongs to.
pub fn of(carriage: Carriage, plan: &Plan) -> Vec<Lack> {
    let mut layers: Vec<Layer> = carriage.controls.iter().filter_map(|control| layer_of(*control)).collect();
    layers.sort();
    layers.dedup();
    layers
        .into_iter()
        .map(|layer| {
            let remaining = carriage.controls.iter().filter(|control| remains(**control, layer, plan));
            let remaining = remaining.map(|control| {
                let facts = control.facts();
                format!("{} ({})", facts.layer.name(), facts.name)
            });
            Lack { layer: layer.name(), remaining: remaining.collect() }
        })
        .collect()
}

fn remains(control: Control, lacking: Layer, plan: &Plan) -> bool {
    match (control, lacking) {
        // It takes over where there is no group.
        (Control::MonitorCpu, Layer::Cgroup) => true,
        _ => layer_of(control) != Some(lacking) && absent(control, plan).is_none(),
    }
}
