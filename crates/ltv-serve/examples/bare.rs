//! What a server costs that does nothing: axum, one handler, the length of an answer of ours.
//! `cargo run --release -p ltv-serve --example bare -- 127.0.0.1:8099`. What `benches/online.py` compares with.

use axum::{Router, http::header, routing::get};
use std::error::Error;

/// As long as what `ltv serve` answers of a user with four horizons and their quantiles.
const ANSWER: &str = r#"{"version":"2024-01-02-0000000000000000","as_of":"2024-01-02","model_id":"made-up","user_id":4711,"found":true,"status":"active","horizons":[{"days":30,"ltv":31.41592,"p10":0.0,"p50":27.18281,"p90":81.64966,"positive":0.57721},{"days":90,"ltv":31.41592,"p10":0.0,"p50":27.18281,"p90":81.64966,"positive":0.57721},{"days":180,"ltv":31.41592,"p10":0.0,"p50":27.18281,"p90":81.64966,"positive":0.57721},{"days":365,"ltv":31.41592,"p10":0.0,"p50":27.18281,"p90":81.64966,"positive":0.57721}]}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8099".into());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let answer = || async { ([(header::CONTENT_TYPE, "application/json")], ANSWER) };
        let routes = Router::new().route("/v1/ltv/{user_id}", get(answer));
        let listener = tokio::net::TcpListener::bind(address).await?;
        Ok(axum::serve(listener, routes).await?)
    })
}
