-- New series that the catalogue has not counted yet: appended by whoever makes series, taken by the tally.
CREATE TABLE metric_series_change (
    asset_id uuid NOT NULL,
    agent_id uuid,
    metric_name text NOT NULL,
    series bigint NOT NULL
);
-- How many series a sender has; and the series of an agent that is deleted.
CREATE INDEX metric_series_by_sender ON metric_series (agent_id, asset_id);

-- The series that there are already.
INSERT INTO metric_series_change SELECT asset_id, agent_id, metric_name, count(*) FROM metric_series GROUP BY 1, 2, 3;
