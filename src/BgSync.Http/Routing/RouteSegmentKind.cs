namespace BgSync.Http.Routing;

/// <summary>The kinds of a segment of a template.</summary>
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
