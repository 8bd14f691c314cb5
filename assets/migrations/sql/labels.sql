-- Series by a label that they were sent with: dashboards pick one instance of a metric that ten thousand have.
CREATE INDEX metric_series_by_label ON metric_series USING gin (metric_labels jsonb_path_ops);

-- Every label that series were sent with, once (and the job of those that were sent without one), so that choosing a
-- label does not read all series. Written together with new series.
CREATE TABLE metric_label (
    name text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (name, value)
);
-- A key of the index holds some 2,700 bytes; what is longer is found by its series only.
INSERT INTO metric_label (name, value)
SELECT DISTINCT pair.key, pair.value
FROM metric_series series
CROSS JOIN LATERAL jsonb_each_text(jsonb_build_object('job', series.collection_method) || series.metric_labels) AS pair
WHERE octet_length(pair.key) + octet_length(pair.value) < 2000;
