using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Trials;

/// <summary>The trials start processes and load the server, so nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class TrialCollection
{
    public const string Name = "Trials";
}
