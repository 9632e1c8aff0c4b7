//! How the report looks.

pub(super) const CSS: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#fff;max-width:1120px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;margin:0 0 .5rem}h2{margin:2.5rem 0 .3rem;border-top:2px solid #dfe4ea;padding-top:1rem}\
h2 small{font-size:.9rem;font-weight:400;margin-left:.6rem}h3{margin:1.4rem 0 .3rem;font-size:1rem}\
nav a{display:inline-block;margin:0 .5rem .4rem 0;padding:.15rem .6rem;border-radius:.8rem;text-decoration:none;background:#eef1f5}\
.good{color:#14743c}.bad{color:#a33a12}.facts{color:#55606f;margin:.2rem 0}.best{font-size:1.1rem;margin:.2rem 0 .8rem}\
table{border-collapse:collapse;font-size:.87rem;margin:.4rem 0}th,td{padding:.25rem .7rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #e8ecf1}\
table.honesty th{white-space:nowrap}table.honesty td:nth-child(2){white-space:nowrap;font-weight:600}\
figure{margin:1rem 0;flex:1 1 480px}figcaption{font-size:.87rem;color:#55606f;margin-bottom:.2rem}svg{width:100%;height:auto;display:block}\
svg text{font:11px system-ui,sans-serif;fill:#55606f}.row{display:flex;flex-wrap:wrap;gap:1.5rem}";
