-- The head is partitioned by hour; what has no partition, because it comes late, is in its default partition.
DROP VIEW infrastructure_metrics;
ALTER TABLE metric_frame RENAME TO metric_frame_by_day;
ALTER INDEX metric_frame_pkey RENAME TO metric_frame_by_day_pkey;
CREATE TABLE metric_frame (
    asset_id uuid NOT NULL,
    layout_id bigint NOT NULL,
    ts timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    "values" double precision[] NOT NULL,
    PRIMARY KEY (asset_id, ts, layout_id)
) PARTITION BY RANGE (ts);
-- Arrays stay in the row, uncompressed: one heap fetch a frame, and no TOAST work on the way in.
ALTER TABLE metric_frame ALTER COLUMN "values" SET STORAGE EXTERNAL;
CREATE TABLE metric_frame_late PARTITION OF metric_frame DEFAULT;
INSERT INTO metric_frame SELECT * FROM metric_frame_by_day;
DROP TABLE metric_frame_by_day;

-- Frames at rest: one asset, layout and hour, as compressed columns (assets/metrics/codec.py).
CREATE TABLE metric_block (
    asset_id uuid NOT NULL,
    layout_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    instants integer NOT NULL CHECK (instants > 0),
    last_ts timestamptz NOT NULL,
    times bytea NOT NULL,
    ends integer[] NOT NULL, -- where each series' column ends in "columns"
    "columns" bytea NOT NULL,
    -- Of each series: count, sum, minimum, maximum, first, last, and the increase with a fall as a start from zero.
    statistics double precision[] NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (asset_id, hour, layout_id)
) PARTITION BY RANGE (hour);
-- Never compressed again, so that one series is read without the others. The columns leave the row first; the statistics
-- stay in it as long as a page holds them (toast_tuple_target, wedsync_monitor/retention.py).
ALTER TABLE metric_block ALTER COLUMN "columns" SET STORAGE EXTERNAL;
ALTER TABLE metric_block ALTER COLUMN statistics SET STORAGE EXTERNAL;
ALTER TABLE metric_block ALTER COLUMN ends SET STORAGE EXTERNAL;

CREATE TABLE metric_daily (
    asset_id uuid NOT NULL,
    layout_id bigint NOT NULL,
    day date NOT NULL,
    statistics double precision[] NOT NULL, -- as in metric_block
    PRIMARY KEY (asset_id, day, layout_id)
) PARTITION BY RANGE (day);

-- Days of assets whose blocks have changed since their daily rows were made.
CREATE TABLE metric_daily_due (
    asset_id uuid NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (asset_id, day)
);
CREATE INDEX metric_daily_due_by_day ON metric_daily_due (day);

-- The specification's table, as a view: every sample of the head, and of older hours one row a series with the mean.
CREATE VIEW infrastructure_metrics AS
SELECT md5(sample.asset_id::text || series.id || extract(epoch FROM sample.ts))::uuid AS id,
       sample.asset_id,
       series.agent_id,
       series.metric_name,
       series.metric_type,
       sample.value::numeric AS metric_value,
       series.metric_unit,
       series.metric_labels,
       sample.ts AS collection_timestamp,
       series.collection_method,
       series.data_quality_score::numeric AS data_quality_score,
       sample.received_at AS created_at
FROM (
    SELECT frame.asset_id, frame.ts, frame.received_at, cell.series_id, cell.value
    FROM metric_frame frame
    JOIN metric_layout layout ON layout.asset_id = frame.asset_id AND layout.id = frame.layout_id
    CROSS JOIN LATERAL unnest(layout.series_ids, frame."values") AS cell (series_id, value)
    WHERE cell.value <> 'NaN'
    UNION ALL
    SELECT block.asset_id, block.hour, block.written_at, cell.series_id,
           block.statistics[7 * cell.place - 5] / block.statistics[7 * cell.place - 6]
    FROM metric_block block
    JOIN metric_layout layout ON layout.asset_id = block.asset_id AND layout.id = block.layout_id
    CROSS JOIN LATERAL unnest(layout.series_ids) WITH ORDINALITY AS cell (series_id, place)
    WHERE block.statistics[7 * cell.place - 6] > 0
) AS sample
JOIN metric_series series ON series.asset_id = sample.asset_id AND series.id = sample.series_id;
