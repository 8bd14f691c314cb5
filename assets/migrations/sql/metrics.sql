-- One row per asset, agent, name, type, unit, labels and method. asset_id leads every key, so that the metric tables
-- can be distributed by asset as they are.
CREATE TABLE metric_series (
    asset_id uuid NOT NULL REFERENCES infrastructure_assets (id) ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY,
    agent_id uuid REFERENCES monitoring_agents (id) ON DELETE SET NULL,
    metric_name text NOT NULL CHECK (length(metric_name) BETWEEN 1 AND 200),
    metric_type text NOT NULL CHECK (metric_type IN ('gauge', 'counter', 'histogram', 'summary')),
    metric_unit text NOT NULL DEFAULT '',
    metric_labels jsonb NOT NULL DEFAULT '{}',
    collection_method text NOT NULL DEFAULT 'agent'
        CHECK (collection_method IN ('agent', 'push', 'pull', 'synthetic')),
    data_quality_score double precision NOT NULL DEFAULT 1 CHECK (data_quality_score BETWEEN 0 AND 1),
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (asset_id, id),
    UNIQUE (asset_id, fingerprint)
);
CREATE INDEX metric_series_by_name ON metric_series (metric_name, asset_id);

-- The ordered list of series that frames of one shape share.
CREATE TABLE metric_layout (
    asset_id uuid NOT NULL REFERENCES infrastructure_assets (id) ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY,
    series_ids bigint[] NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (asset_id, id),
    UNIQUE (asset_id, fingerprint)
);

-- The head: what one asset reported at one instant; NaN where a series has no sample.
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

-- The specification's table, as a view: whoever knows SQL finds the columns that it names.
CREATE VIEW infrastructure_metrics AS
SELECT md5(frame.asset_id::text || series.id || extract(epoch FROM frame.ts))::uuid AS id,
       frame.asset_id,
       series.agent_id,
       series.metric_name,
       series.metric_type,
       sample.value::numeric AS metric_value,
       series.metric_unit,
       series.metric_labels,
       frame.ts AS collection_timestamp,
       series.collection_method,
       series.data_quality_score::numeric AS data_quality_score,
       frame.received_at AS created_at
FROM metric_frame frame
JOIN metric_layout layout ON layout.asset_id = frame.asset_id AND layout.id = frame.layout_id
CROSS JOIN LATERAL unnest(layout.series_ids, frame."values") AS sample (series_id, value)
JOIN metric_series series ON series.asset_id = frame.asset_id AND series.id = sample.series_id
WHERE sample.value <> 'NaN';
