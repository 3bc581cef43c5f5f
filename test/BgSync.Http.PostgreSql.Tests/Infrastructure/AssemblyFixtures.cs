using TestKit.PostgreSql;
using Xunit;

[assembly: AssemblyFixture(typeof(PostgreSqlCluster))]
