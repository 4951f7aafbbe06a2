//! Running the feature query over one part, in memory, on one thread.

use crate::Result;
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::{
    datasource::MemTable,
    prelude::{SessionConfig, SessionContext},
};
use futures::StreamExt;
use std::sync::Arc;

/// The tables of one part: name, schema, rows.
pub(crate) type Tables = Vec<(&'static str, SchemaRef, Vec<RecordBatch>)>;

/// Runs `sql` over `tables` and hands each batch of the result to `take`, in order.
pub(crate) fn run(
    sql: &str,
    tables: Tables,
    mut take: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|e| crate::DataError::io("the query engine".as_ref(), "start", e))?;
    // One partition: parts already run side by side, and one alone keeps the bytes the same.
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(8192);
    let session = SessionContext::new_with_config(config);
    for (name, schema, batches) in tables {
        session.register_table(name, Arc::new(MemTable::try_new(schema, vec![batches])?))?;
    }
    runtime.block_on(async {
        let mut stream = session.sql(sql).await?.execute_stream().await?;
        while let Some(batch) = stream.next().await {
            take(batch?)?;
        }
        Ok(())
    })
}
