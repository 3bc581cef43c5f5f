using Xunit;

namespace BgSync.Http.Tests;

/// <summary>Tests that measure the whole process, and run when no other test does.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
