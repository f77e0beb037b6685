//! Prints the AUC of two files and the seconds that it took, reading not counted: scores as 64-bit
//! floats and labels as bytes, little-endian.

use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scores, labels] = arguments.as_slice() else {
        return Err("expected two arguments: the file of scores and the file of labels".into());
    };
    let scores: Vec<f64> = std::fs::read(scores)?
        .chunks_exact(8)
        .map(|bytes| Ok(f64::from_le_bytes(bytes.try_into()?)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let labels: Vec<bool> = std::fs::read(labels)?
        .into_iter()
        .map(|byte| byte != 0)
        .collect();
    let started = Instant::now();
    let auc = supermoe_metrics::auc(&scores, &labels)?;
    println!("{auc} {}", started.elapsed().as_secs_f64());
    Ok(())
}
