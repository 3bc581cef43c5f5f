namespace BgSync.Http.Routing;

/// <summary>One segment of a template.</summary>
/// <param name="Kind">The kind of text that it matches.</param>
/// <param name="Text">The escaped text of a literal; the name of a parameter.</param>
internal readonly record struct RouteSegment(RouteSegmentKind Kind, string Text);
