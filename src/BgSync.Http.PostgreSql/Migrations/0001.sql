CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {schema}.schema_version (version integer NOT NULL, readable_from integer NOT NULL);
INSERT INTO {schema}.schema_version VALUES (1, 1);
CREATE FUNCTION {schema}.now_ms() RETURNS bigint LANGUAGE sql AS 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint';
