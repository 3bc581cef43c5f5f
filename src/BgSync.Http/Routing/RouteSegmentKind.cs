namespace BgSync.Http.Routing;

/// <summary>What a segment of a template matches.</summary>
internal enum RouteSegmentKind
{
    /// <summary>A segment of the same text.</summary>
    Literal,

    /// <summary>Any segment that is not empty.</summary>
    Parameter,

    /// <summary>Any last segment, or none.</summary>
    Optional,

    /// <summary>Whatever follows, or nothing.</summary>
    CatchAll,
}
