namespace BgSync.Http.Tests;
public class Placeholder { [Xunit.Fact] public void Runs() { } }
