using Xunit;

namespace BgSync.Http.LiteDB.Tests.Trials;

/// <summary>The trials start processes and measure time, so nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class TrialCollection
{
    public const string Name = "Trials";
}
